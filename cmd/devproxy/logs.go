package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/journal"
)

// logOptions are the flags of logs.
type logOptions struct {
	file   fileFlags
	follow bool
	lines  int
	json   bool

	service string // empty for everything
}

func newLogsCmd(s *streams) *cobra.Command {
	opts := logOptions{lines: -1}
	cmd := &cobra.Command{
		Use:   "logs [SERVICE]",
		Short: "show the output of what is running here",
		Long: `Shows the recent output of the ` + "`devproxy up`" + ` of this folder, at most 2000 lines or 1 MiB. If nothing is running, it shows the
log of the last ` + "`devproxy up -d`" + `. Exits 1 if there is neither.

With a SERVICE it shows what that service has printed, and what is said about it.

--json prints one object per line.`,
		Example:    "  devproxy logs\n  devproxy logs -f\n  devproxy logs -f web\n  devproxy logs -n 50 --json",
		SuggestFor: []string{"log", "tail", "attach"},
		Args:       atMostOneArg("service", "devproxy logs web"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.service = append(args, "")[0]
			ctx, own, release := attended(cmd.Context(), s)
			defer release()
			return runLogs(ctx, own, opts)
		},
	}
	cmd.Flags().StringVar(&opts.file.File, "file", "", "the Proxyfile whose folder is meant (default: the one in this folder or the nearest above it)")
	cmd.Flags().StringVarP(&opts.file.Dir, "directory", "C", "", "work as if started in this folder")
	cmd.Flags().BoolVarP(&opts.follow, "follow", "f", false, "print new lines too, until it ends or Ctrl-C")
	numberVar(cmd.Flags(), &opts.lines, "lines", "n", -1, math.MaxInt, 50, "how many lines to begin with; -1 for all")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object per line")
	return cmd
}

func runLogs(ctx context.Context, s *streams, opts logOptions) error {
	print := s.printLine
	if opts.json {
		print = func(line journal.Line) error {
			line.Text = journal.Plain(line.Text)
			return s.json(line)
		}
	}
	client, folder, runtimeDir, err := findInstance(opts.file)
	if errors.Is(err, control.ErrNotRunning) {
		return printLog(ctx, s, opts, folder, runtimeDir, print)
	}
	if err != nil {
		return err
	}
	if opts.service != "" {
		if err := checkService(ctx, client, opts.service, "devproxy logs"); err != nil {
			return err
		}
	}
	request := control.OutputRequest{Last: opts.lines, Service: opts.service, Follow: opts.follow}
	out, err := client.Output(ctx, request)
	if err != nil {
		return outputError(err)
	}
	return followOutput(ctx, client, out, request, print)
}

// checkService refuses a service that the instance does not run. instead is the command
// for an instance without services.
func checkService(ctx context.Context, client *control.Client, name, instead string) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	names := each(status.Services, func(service control.Service) string { return service.Name })
	switch {
	case slices.Contains(names, name):
		return nil
	case len(names) == 0:
		return failf(instead, "the devproxy running here (pid %d) runs no service with a command", status.PID)
	}
	return failf("services: "+strings.Join(names, ", "), "the devproxy running here (pid %d) runs no service %q", status.PID, name)
}

// printLog prints the log file of a folder in which nothing runs.
func printLog(ctx context.Context, s *streams, opts logOptions, folder, runtimeDir string, print func(journal.Line) error) error {
	dir, name, err := logOf(folder)
	if err != nil {
		return err
	}
	file, err := journal.Open(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return failf("to start it: devproxy up -d"+elsewhere(runtimeDir), "devproxy is not running in %s, and no log of it is left", devproxy.Home(folder))
	}
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	defer file.Close()
	if !opts.json {
		s.note("devproxy is not running here; this is its last run in the background: " + devproxy.Home(journal.Path(dir, name)))
	}
	var lines []journal.Line
	reader := bufio.NewReader(file)
	for ctx.Err() == nil {
		text, err := reader.ReadString('\n')
		text = strings.TrimSuffix(text, "\n")
		if service := printedBy(text); (err == nil || text != "") && (opts.service == "" || service == opts.service) {
			lines = append(lines, journal.Line{Service: service, Text: text})
		}
		if opts.lines >= 0 && len(lines) > opts.lines {
			lines = lines[1:]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("cannot read the log: %w", err)
		}
	}
	for _, line := range lines {
		if err := print(line); err != nil && !isClosedPipe(err) {
			return err
		}
	}
	return nil
}

// servicePrefix is what precedes a line of a service.
var servicePrefix = regexp.MustCompile(`^([^\s|]+) *\| `)

// printedBy returns the service that has printed a line of the log file; empty for
// devproxy itself.
func printedBy(text string) string {
	if found := servicePrefix.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
