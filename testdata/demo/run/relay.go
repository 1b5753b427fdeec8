package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// relayPatience is for a relay that makes its CA first.
const relayPatience = 30 * time.Second

// startRelay runs the public side of shares on this machine, so that the
// whole way is seen without a network.
func (d *demo) startRelay(ctx context.Context) error {
	logged, err := os.Create(filepath.Join(d.tmp, "relay.log")) // a line for each request
	if err != nil {
		return err
	}
	defer logged.Close()
	cmd := exec.Command(d.devproxy, "relay", "--dev", "--json")
	cmd.Env, cmd.Stderr = d.environment(), logged
	events, err := d.startEvents(ctx, "the relay", cmd)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, relayPatience)
	defer cancel()
	ready, err := await(waiting, events, "ready")
	if err != nil {
		return fmt.Errorf("the relay %w", err)
	}
	go drop(events) // so that the relay never waits for us
	_, port, err := net.SplitHostPort(ready.Listen)
	if err != nil {
		return fmt.Errorf("the relay listens on %q: %w", ready.Listen, err)
	}
	d.relay, d.relayAddr = net.JoinHostPort(ready.Domain, port), net.JoinHostPort("127.0.0.1", port)
	return nil
}

// startEvents starts a devproxy with --json, in a separate group.
func (d *demo) startEvents(ctx context.Context, name string, cmd *exec.Cmd) (<-chan event, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = in
	apart(cmd)
	c, err := start(name, cmd)
	in.Close() // the child has its own
	if err != nil {
		out.Close()
		return nil, err
	}
	d.children = append(d.children, c)
	events := make(chan event)
	go func() {
		defer out.Close()
		read(ctx, out, events)
	}()
	return events, nil
}

// await returns the next event of a kind. Those before it are dropped.
func await(ctx context.Context, events <-chan event, kind string) (event, error) {
	for {
		select {
		case e, more := <-events:
			switch {
			case !more:
				return event{}, fmt.Errorf("ended before it was %s", kind)
			case e.Event == "failed":
				return event{}, fmt.Errorf("failed: %s\n  %s", e.Error, e.Fix)
			case e.Event == kind:
				return e, nil
			}
		case <-ctx.Done():
			return event{}, errors.New("is not " + kind + " in time")
		}
	}
}

func drop(events <-chan event) {
	for range events {
	}
}
