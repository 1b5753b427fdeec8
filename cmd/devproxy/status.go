package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

const (
	// statusTimeout bounds the query of the running instance.
	statusTimeout = 5 * time.Second
	// downTimeout is how long down waits for requests in flight.
	downTimeout = 60 * time.Second
)

func newStatusCmd(s *streams) *cobra.Command {
	var asJSON bool
	cmd := instanceCmd(func(ctx context.Context) error { return statusAll(ctx, s, asJSON) }, statusTimeout, func(ctx context.Context, client *control.Client) error {
		status, err := client.Status(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return s.json(status)
		}
		printStatus(s, status)
		return nil
	})
	cmd.Use = "status"
	cmd.Short = "show what is running here"
	cmd.Long = "Shows what `devproxy up` serves for this folder. Exits 1 if nothing is running.\n\n" +
		"--all shows all your projects that run. Exits 1 if none runs or one does not answer.\n\n" +
		"--json prints one object; with --all, one per line."
	cmd.Example = "  devproxy status\n  devproxy status --all\n  devproxy status --json"
	cmd.SuggestFor = []string{"list", "ps", "ls"}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with --all one per line")
	return cmd
}

func newDownCmd(s *streams) *cobra.Command {
	cmd := instanceCmd(func(ctx context.Context) error { return downAll(ctx, s) }, downTimeout, func(ctx context.Context, client *control.Client) error {
		if err := client.Down(ctx); err != nil {
			return err
		}
		fmt.Fprintln(s.Err, "stopped")
		return nil
	})
	cmd.Use = "down"
	cmd.Short = "stop what is running here"
	cmd.Long = "Stops the `devproxy up` of this folder and waits until it has ended. Requests in flight finish.\n\n" +
		"--all stops all your projects at once. Exits 1 if one does not end, and 0 if none runs."
	cmd.Example = "  devproxy down\n  devproxy down --all"
	cmd.SuggestFor = []string{"stop", "kill"}
	return cmd
}

// instanceCmd returns a verb that talks to the running instance, or with --all to every
// one of this user.
func instanceCmd(all func(context.Context) error, timeout time.Duration, talk func(context.Context, *control.Client) error) *cobra.Command {
	var file fileFlags
	var every bool
	cmd := &cobra.Command{Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		if every && file != (fileFlags{}) {
			return usagef(cmd.CommandPath()+" --all", "--all means every folder: -f and -C have no effect")
		}
		if every {
			return all(ctx)
		}
		client, err := dialInstance(file)
		if err != nil {
			return err
		}
		return talk(ctx, client)
	}}
	addFileFlags(cmd, &file)
	cmd.Flags().BoolVarP(&every, "all", "a", false, "all your projects, in any folder")
	return cmd
}

// dialInstance connects to the devproxy that runs for the folder of the Proxyfile, or
// for the folder itself, where `up PORT` needs no Proxyfile.
func dialInstance(file fileFlags) (*control.Client, error) {
	client, folder, runtimeDir, err := findInstance(file)
	if errors.Is(err, control.ErrNotRunning) {
		return nil, failf("to start it: devproxy up"+elsewhere(runtimeDir), "devproxy is not running in %s", devproxy.Home(folder))
	}
	return client, err
}

// findInstance is dialInstance for verbs that can continue without one: the
// error is control.ErrNotRunning then.
func findInstance(file fileFlags) (client *control.Client, folder, runtimeDir string, err error) {
	if folder, err = workingFolder(file.Dir); err != nil {
		return nil, "", "", err
	}
	if path, _, err := file.find(); err == nil {
		folder = filepath.Dir(path)
	}
	if runtimeDir, err = runtimedir.Path(os.Getenv); err != nil {
		return nil, folder, "", err
	}
	client, err = control.Dial(runtimeDir, folder)
	return client, folder, runtimeDir, err
}

// elsewhere lists what runs for other folders.
func elsewhere(runtimeDir string) string {
	running, err := control.List(runtimeDir)
	if err != nil {
		return "" // that was not the question
	}
	var text strings.Builder
	for _, holder := range running {
		fmt.Fprintf(&text, "\nit is running in %s (pid %d)", devproxy.Home(holder.Folder), holder.PID)
	}
	return text.String()
}

func printStatus(s *streams, status control.Status) {
	printServed(s, status)
	s.paragraph(fmt.Sprintf("pid %d, since %s, %s open", status.PID, status.Started.Format("2 January 15:04"), count(status.Streams, "socket")))
	if status.Log != "" {
		s.paragraph("in the background; its log: " + devproxy.Home(status.Log))
	}
	switch {
	case status.Rejected == nil:
	case status.Rejected.Error != "":
		s.paragraph(fmt.Sprintf("the save of %s is not served: %s", clock(status.Rejected.At), printable(status.Rejected.Error)))
	default:
		s.paragraph(fmt.Sprintf("the save of %s has mistakes: devproxy check", clock(status.Rejected.At)))
	}
}

// printServed prints what an instance serves: hosts, services and the share.
func printServed(s *streams, status control.Status) {
	printHosts(s, status.Hosts)
	printWorktree(s, status.Worktree)
	printServices(s, status.Services)
	printPorts(s, status.Ports)
	printEngine(s, status.Engine)
	printShareStatus(s, status.Share)
}

// printHosts prints each host's address with its routes below it, in columns if the
// terminal has room for them.
func printHosts(s *streams, hosts []control.Host) {
	var urls, places, paths, upstreams []string
	for _, host := range hosts {
		urls, places = append(urls, host.URL), append(places, host.Place())
		for _, route := range host.Routes {
			paths, upstreams = append(paths, route.Path), append(upstreams, route.Upstream)
			for _, m := range route.Members {
				upstreams = append(upstreams, m.Upstream)
			}
		}
	}
	const gap = "   "
	columns, urlWidth := s.columns(), widest(urls)
	if columns > 0 && urlWidth+len(gap)+widest(places) > columns {
		urlWidth = 0 // each place follows its address
	}
	shown := map[string]bool{}
	for i, host := range hosts {
		line := pad(host.URL, urlWidth)
		filler := strings.TrimPrefix(line, host.URL)
		place := ""
		if places[i] != "" && (columns == 0 || shownWidth(line+gap+places[i]) <= columns) {
			place = s.dim(gap + places[i])
		}
		fmt.Fprintf(s.Out, "%s%s%s\n", s.style("1;36", host.URL), filler, place)
		for _, route := range host.Routes {
			if shown[route.Upstream] {
				route.Members = nil // their states are above
			}
			shown[route.Upstream] = true
			printRoute(s, route, widest(paths), widest(upstreams))
		}
	}
}

// printRoute prints a route with its state. Text that does not fit on a narrow
// terminal goes below, next to the path.
func printRoute(s *streams, route control.Route, paths, upstreams int) {
	columns := s.columns()
	below := len("  ") + paths + len("   ")
	line := "  " + pad(route.Path, paths) + "   "
	if route.State == control.StateReady {
		fmt.Fprintln(s.Out, line+route.Upstream)
		return
	}
	fits := func(text string) bool { return columns == 0 || shownWidth(text) <= columns }
	row := line + pad(route.Upstream, upstreams) + "   " + stateText(s, route.State, "")
	if whole := line + pad(route.Upstream, upstreams) + "   " + stateText(s, route.State, route.Detail); fits(whole) {
		fmt.Fprintln(s.Out, whole)
	} else {
		if !fits(row) {
			row = line + route.Upstream + "   " + stateText(s, route.State, "")
		}
		fmt.Fprintln(s.Out, row)
		s.indented(below, route.Detail)
	}
	for _, m := range route.Members {
		fmt.Fprintf(s.Out, "%*s%s   %s\n", below, "", pad(m.Upstream, upstreams), memberText(s, m))
	}
	for _, hint := range route.Hints {
		indent := below + upstreams + len("   waiting   ")
		if columns > 0 && indent+shownWidth(hint) > columns {
			indent = below
		}
		s.indented(indent, hint)
	}
}

// stateText is "up", or "waiting" with the reason after it.
func stateText(s *streams, state, detail string) string {
	switch state {
	case control.StateUp:
		return s.green(state)
	case control.StateWaiting, control.StateUnhealthy:
		state = s.yellow(state)
	}
	if detail != "" {
		state += "   " + detail
	}
	return state
}

// memberText is "up, 3 in progress", or "fallback, unknown".
func memberText(s *streams, m control.Member) string {
	text := stateText(s, m.State, m.Detail)
	if m.Active > 0 {
		text += fmt.Sprintf("   %d in progress", m.Active)
	}
	if m.Fallback {
		text += "   " + s.dim("fallback")
	}
	return text
}
