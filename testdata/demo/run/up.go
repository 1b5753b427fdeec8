package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"
)

// up runs devproxy in the foreground, as if typed. Once it is ready it prints
// the address itself; the list of pages is printed before. keys is done when
// Ctrl-C was pressed, ctx when the demo is to end for whatever reason.
func (d *demo) up(ctx, keys context.Context) error {
	d.explain()
	cmd := d.command()
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	onTerminal(cmd)
	up, err := start("devproxy", cmd)
	if err != nil {
		return err
	}
	select {
	case <-up.done:
		return up.err
	case <-ctx.Done():
	}
	switch {
	case errors.Is(context.Cause(ctx), errHungUp):
		// The terminal has told devproxy as well, and twice does no harm.
		_ = up.cmd.Process.Signal(syscall.SIGHUP) // it may just have ended
	case keys.Err() == nil || !term.IsTerminal(int(os.Stdin.Fd())):
		// Ctrl-C reaches every process of the terminal; a second one would tell
		// devproxy not to finish its requests in progress.
		interrupt(up.cmd)
	}
	const patience = 15 * time.Second
	if !up.wait(patience) {
		kill(up.cmd)
		<-up.done
		return errors.New("devproxy did not stop within 15 s and was killed")
	}
	var exit *exec.ExitError
	if errors.As(up.err, &exit) && exit.ExitCode() < 0 {
		return nil // ended by the signal that ended us
	}
	return up.err
}

func (d *demo) explain() {
	say("A shop on one origin. At the first address below:")
	say("  /            the page: fetch, events, a WebSocket")
	say("  /api/hello   the Go API, on :%d", d.api)
	say("  /docs/       files of %s", d.short("docs"))
	say("  /old/routes  a redirect to /docs/routes")
	if d.relay != "" {
		say("The second address is a link, through a relay that runs on this machine too.")
	}
	if d.web != 0 {
		say("Save %s: the page changes without a reload.", d.short("web/src/message.js"))
	}
	say("Save %s: a route changes, no socket closes.", d.short("Proxyfile"))
	say("")
}

// short is a file of the demo as it is typed from here.
func (d *demo) short(name string) string {
	path := filepath.Join(d.dir, filepath.FromSlash(name))
	if name == "Proxyfile" {
		path = d.proxyfile()
	}
	if wd, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(relative) {
			return relative
		}
	}
	return path
}
