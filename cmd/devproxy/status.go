package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
)

const (
	// statusPatience bounds asking the running instance.
	statusPatience = 5 * time.Second
	// downPatience is how long down waits for requests in flight.
	downPatience = 60 * time.Second
)

func newStatusCmd(s *streams) *cobra.Command {
	var file fileFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "status",
		Short:      "say what runs here",
		Long:       "Says what `devproxy up` serves for this folder. Exit code 1 when nothing runs.\n--json prints one object.",
		Example:    "  devproxy status\n  devproxy status --json",
		SuggestFor: []string{"list", "ps", "ls"},
		Args:       noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), statusPatience)
			defer cancel()
			client, err := dialInstance(file)
			if err != nil {
				return err
			}
			status, err := client.Status(ctx)
			if err != nil {
				return err
			}
			return printStatus(s, status, asJSON)
		},
	}
	addFileFlags(cmd, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func printStatus(s *streams, status control.Status, asJSON bool) error {
	if asJSON {
		text, err := json.Marshal(status)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "%s\n", text)
		return nil
	}
	printHosts(s, status.Hosts)
	printShareStatus(s, status.Share)
	fmt.Fprintf(s.Out, "pid %d, since %s, %s open\n", status.PID, status.Started.Format("2 January 15:04"), count(status.Streams, "socket"))
	switch {
	case status.Rejected == nil:
	case status.Rejected.Error != "":
		fmt.Fprintf(s.Out, "the save of %s is not served: %s\n", clock(status.Rejected.At), printable(status.Rejected.Error))
	default:
		fmt.Fprintf(s.Out, "the save of %s has mistakes: devproxy check\n", clock(status.Rejected.At))
	}
	return nil
}

func newDownCmd(s *streams) *cobra.Command {
	var file fileFlags
	cmd := &cobra.Command{
		Use:        "down",
		Short:      "stop what runs here",
		Long:       "Stops the `devproxy up` of this folder and returns when it is gone. Requests in flight finish.",
		Example:    "  devproxy down",
		SuggestFor: []string{"stop", "kill"},
		Args:       noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), downPatience)
			defer cancel()
			client, err := dialInstance(file)
			if err != nil {
				return err
			}
			if err := client.Down(ctx); err != nil {
				return err
			}
			fmt.Fprintln(s.Err, "stopped")
			return nil
		},
	}
	addFileFlags(cmd, &file)
	return cmd
}

// elsewhere names what runs for other folders, a line each.
func elsewhere(runtimeDir string) string {
	running, err := control.List(runtimeDir)
	if err != nil {
		return "" // the question was another
	}
	var text strings.Builder
	for _, holder := range running {
		fmt.Fprintf(&text, "\nit is running in %s (pid %d)", devproxy.Home(holder.Folder), holder.PID)
	}
	return text.String()
}

// dialInstance finds what runs for the folder of the Proxyfile that the flags
// name, or for the folder itself, where `up PORT` needs no Proxyfile.
func dialInstance(file fileFlags) (*control.Client, error) {
	client, folder, runtimeDir, err := findInstance(file)
	if errors.Is(err, control.ErrNotRunning) {
		return nil, failf("to start it: devproxy up"+elsewhere(runtimeDir), "nothing is running in %s", devproxy.Home(folder))
	}
	return client, err
}

// findInstance is dialInstance for whoever goes on without one: the error is
// control.ErrNotRunning then.
func findInstance(file fileFlags) (client *control.Client, folder, runtimeDir string, err error) {
	folder, err = filepath.Abs(file.Dir)
	if err != nil {
		return nil, "", "", failf("cd to a folder that exists", "cannot tell the working directory: %w", err)
	}
	if path, _, err := file.find(); err == nil {
		folder = filepath.Dir(path)
	}
	runtimeDir, err = control.RuntimeDir(os.Getenv)
	if err != nil {
		return nil, folder, "", err
	}
	client, err = control.Dial(runtimeDir, folder)
	return client, folder, runtimeDir, err
}
