package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/journal"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// runningIn returns a client of the devproxy that runs in folder; nil if none does.
func runningIn(folder string) (*control.Client, error) {
	runtimeDir, err := runtimedir.Path(os.Getenv)
	if err != nil {
		return nil, err
	}
	client, err := control.Dial(runtimeDir, folder)
	if errors.Is(err, control.ErrNotRunning) {
		return nil, nil
	}
	return client, err
}

// heldError adds what to do to the error of a folder that another process serves.
func heldError(err error) error {
	return failf("devproxy logs -f shows its output, devproxy down stops it", "%w", err)
}

// checkRunning refuses flags and arguments that mean nothing to a devproxy that runs
// already, and another Proxyfile.
func (o upOptions) checkRunning(ctx context.Context, client *control.Client, src source, args []string) error {
	flag := ""
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"--https", o.https != ""}, {"--http", o.http != ""}, {"--standalone", o.standalone}, {"--verbose", o.verbose}, {"--quiet", o.quiet},
		{"--allow", o.allow}, {"--partial", o.partial}, {"--congestion", o.congestion != "bbr"},
	} {
		if f.set {
			flag = cmp.Or(flag, f.name)
		}
	}
	if flag != "" {
		return usagef("leave out "+flag+", or stop the running one first: devproxy down",
			"%s has no effect: devproxy is already running here (pid %d)", flag, client.Holder().PID)
	}
	if len(args) == 0 {
		return checkSameFile(ctx, client, src.name)
	}
	port, _, err := portArgument(args[0])
	if err == nil {
		_, err = hostsOfPort(ctx, client, fmt.Sprint(port))
	}
	return err
}

// attachTo shows the output of the devproxy that runs here already, on a terminal. A
// script learns by the exit code that it does not serve.
func attachTo(ctx context.Context, s *streams, client *control.Client, opts upOptions, src source, args []string) error {
	if opts.json || !s.OutTTY {
		return heldError(&control.HeldError{Holder: client.Holder()})
	}
	if err := opts.checkRunning(ctx, client, src, args); err != nil {
		return err
	}
	request := control.OutputRequest{Follow: true}
	out, err := client.Output(ctx, request)
	if err != nil {
		return outputError(err)
	}
	status, err := client.Status(ctx)
	if err != nil {
		out.Close()
		return err
	}
	s.note(fmt.Sprintf("attached to devproxy (pid %d) · Ctrl-C detaches · %s stops it", status.PID, typed("devproxy down")))
	printServed(s, status)
	pause := func() error { return nil }
	if opts.share {
		if pause, err = shareWhileAttached(ctx, s, client, opts, src); err != nil {
			out.Close()
			return err
		}
	}
	err = followOutput(ctx, client, out, request, s.printLine)
	if ctx.Err() != nil {
		s.note("detached; devproxy is still running (pid " + fmt.Sprint(status.PID) + ")")
		return pause()
	}
	return err
}

// shareWhileAttached has the running devproxy share. pause puts the link to sleep again,
// as the end of `devproxy share` does, unless something was shared before.
func shareWhileAttached(ctx context.Context, s *streams, client *control.Client, opts upOptions, src source) (pause func() error, err error) {
	before, err := client.Share(ctx, control.ShareRequest{Op: control.OpLook})
	if err != nil {
		return nil, err
	}
	_, err = client.Share(ctx, opts.request(nil))
	if refused, ok := errors.AsType[*control.ShareError](err); ok && refused.Text == credentials.ErrNoRelay.Error() {
		if opts.relay, err = offerRelay(ctx, s, opts, src); err == nil {
			_, err = client.Share(ctx, opts.request(nil))
		}
	}
	if err != nil {
		return nil, err
	}
	return func() error {
		if before.State != control.ShareNone && !devproxy.IsShareOver(before.State) {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), sleepTimeout)
		defer cancel()
		now, err := client.Share(ctx, control.ShareRequest{Op: control.OpSleep})
		if errors.Is(err, control.ErrNotRunning) {
			return nil
		}
		if err == nil && devproxy.IsShareOver(now.State) {
			s.note("the link " + overText(now))
		}
		return err
	}, nil
}

// printLine prints a line of another devproxy's output.
func (s *streams) printLine(line journal.Line) error {
	if line.Missed > 0 {
		s.note(count(int(line.Missed), "line") + " left out: this terminal was too slow")
	}
	if !s.Color {
		line.Text = journal.Plain(line.Text)
	}
	_, err := fmt.Fprintln(s.Out, line.Text)
	return err
}

// followOutput prints the lines of out, which is that of a request, until the instance
// ends or ctx does. A reader that was suspended is cut off, and asks for the rest again.
func followOutput(ctx context.Context, client *control.Client, out *control.Output, request control.OutputRequest, print func(journal.Line) error) error {
	broken := 0
	for {
		line, err := out.Next()
		for ; err == nil; line, err = out.Next() {
			request.After, broken = line.Number, 0
			if err := print(line); err != nil {
				out.Close()
				if isClosedPipe(err) {
					return nil // nothing reads it
				}
				return err
			}
		}
		out.Close()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if out, err = outputAgain(ctx, client, request, &broken); err != nil || out == nil {
			return err
		}
	}
}

// outputAgain asks for the rest of the output, once it has broken off. An instance that
// is killed breaks off a few responses before it is gone. out is nil when ctx ends.
func outputAgain(ctx context.Context, client *control.Client, request control.OutputRequest, broken *int) (out *control.Output, err error) {
	for *broken++; *broken <= maxUnanswered; *broken++ {
		out, err = client.Output(ctx, request)
		switch {
		case err == nil:
			return out, nil
		case errors.Is(err, control.ErrNotRunning):
			return nil, failf("devproxy up", "the devproxy with pid %d was killed", client.Holder().PID)
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(pollConnecting):
		}
	}
	return nil, cmp.Or(err, failf("devproxy logs -f", "the output of the devproxy with pid %d broke off", client.Holder().PID))
}

// outputError adds what to do to the error of an output.
func outputError(err error) error {
	if errors.Is(err, control.ErrNoOutput) {
		return failf("devproxy down, then devproxy up", "%w", err)
	}
	return err
}
