package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// noProject says that no devproxy of this user runs.
const noProject = "none of your projects is running"

// askAll asks every devproxy of this user for its status, all at once. dir is the user's
// runtime directory.
func askAll(ctx context.Context, patience time.Duration) (answers []control.Answer, dir string, err error) {
	if dir, err = runtimedir.Path(os.Getenv); err != nil {
		return nil, "", err
	}
	answers, err = control.All(ctx, dir, patience)
	return answers, dir, err
}

// statusAll prints the status of every devproxy of this user.
func statusAll(ctx context.Context, s *streams, asJSON bool) error {
	answers, _, err := askAll(ctx, statusTimeout)
	if err != nil {
		return err
	}
	if len(answers) == 0 {
		return failf("to start one: devproxy up", noProject)
	}
	silent := 0
	for i, answer := range answers {
		status := answer.Status
		if answer.Err != nil {
			silent++
			status = control.Status{
				Folder: answer.Holder.Folder, PID: answer.Holder.PID, Started: answer.Holder.Started,
				URLs: []string{}, Hosts: []control.Host{}, Error: failure.Text(answer.Err),
			}
		}
		if asJSON {
			if err := s.json(status); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(s.Out)
		}
		printSummary(s, status)
	}
	if silent > 0 {
		return failf("to stop them: devproxy down --all", "%d of %d did not answer", silent, len(answers))
	}
	return nil
}

// printSummary prints an instance with the address and state of each host.
func printSummary(s *streams, status control.Status) {
	facts := []string{fmt.Sprintf("pid %d", status.PID), "since " + status.Started.Local().Format("2 January 15:04")}
	if status.Log != "" {
		facts = append(facts, "in the background")
	}
	if status.Rejected != nil {
		facts = append(facts, s.yellow("the last save is not served"))
	}
	s.hang(s.Out, s.bold(printable(devproxy.Home(status.Folder)))+"   ", 2, strings.Join(facts, " · "))
	if status.Error != "" {
		s.hang(s.Out, "  ", 2, s.yellow(printable(status.Error)))
		return
	}
	width := widest(status.URLs)
	for _, host := range status.Hosts {
		s.hang(s.Out, "  "+s.style("1;36", host.URL)+strings.Repeat(" ", width-len(host.URL))+"   ", width+5, hostState(s, host))
	}
	if sh := status.Share; sh != nil && !devproxy.IsShareOver(sh.State) && sh.State != control.ShareNone {
		text := "shared through " + sh.Relay + ", " + s.yellow(sh.State)
		if sh.State == control.ShareUp {
			text = "shared until " + untilText(sh.Expires, time.Now())
		}
		s.hang(s.Out, "  ", 2, text)
		if sh.URL != "" {
			fmt.Fprintln(s.Out, "  "+s.style("1;36", sh.URL))
		}
	}
}

// hostState is "up", or the routes that are not.
func hostState(s *streams, host control.Host) string {
	var not []string
	for _, route := range host.Routes {
		switch route.State {
		case control.StateUp, control.StateReady:
		default:
			not = append(not, route.Path+" "+s.yellow(route.State))
		}
	}
	if len(not) == 0 {
		return s.green("up")
	}
	return strings.Join(not, ", ")
}

// downAll stops every devproxy of this user, all at once, and waits for each.
func downAll(ctx context.Context, s *streams) error {
	runtimeDir, err := runtimedir.Path(os.Getenv)
	if err != nil {
		return err
	}
	clients, err := control.Clients(runtimeDir)
	if err != nil {
		return err
	}
	if len(clients) == 0 {
		fmt.Fprintln(s.Err, noProject)
		return nil
	}
	type outcome struct {
		client *control.Client
		err    error
	}
	outcomes := make(chan outcome, len(clients))
	for _, client := range clients {
		go func() { outcomes <- outcome{client, client.Down(ctx)} }()
	}
	left := 0
	for range clients {
		done := <-outcomes
		holder := done.client.Holder()
		if done.err == nil {
			s.hang(s.Err, "", 2, fmt.Sprintf("stopped %s (pid %d)", printable(devproxy.Home(holder.Folder)), holder.PID))
			continue
		}
		left++
		report(s, failf(fmt.Sprintf("kill -KILL %d", holder.PID), "%s: %w", devproxy.Home(holder.Folder), done.err), false)
	}
	if left > 0 {
		return failf("devproxy status --all shows them", "%d of %d did not end", left, len(clients))
	}
	return nil
}
