package main

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/term"
)

// readHidden reads a line from a terminal without showing it. Ctrl-C ends the
// reading, and the terminal shows again what is typed: left to itself the
// signal would end devproxy with a shell that looks dead.
func readHidden(terminal *os.File) ([]byte, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot read the terminal: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)

	var line []byte
	read := make(chan error, 1)
	go func() { // a read of a terminal cannot be interrupted: it ends with devproxy
		var err error
		line, err = term.ReadPassword(fd)
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			return nil, fmt.Errorf("cannot read the terminal: %w", err)
		}
		return line, nil
	case <-signals:
		if err := term.Restore(fd, before); err != nil {
			return nil, failf("stty echo", "the terminal does not show what is typed: %w", err)
		}
		return nil, exit(exitFailed)
	}
}
