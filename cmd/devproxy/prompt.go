package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// canAsk reports whether a person can answer a question.
func canAsk(s *streams, asJSON bool) bool {
	return !asJSON && s.InTTY && (s.OutTTY || s.ErrTTY)
}

// confirm asks a question on the terminal. Only yes is yes.
func confirm(ctx context.Context, s *streams, question string) bool {
	answer, _ := prompt(ctx, s, question)
	return answer == "y" || answer == "yes"
}

// prompt asks a question on the terminal and returns the answer in lower case. ok is
// false at the end of the input, and when ctx ends.
func prompt(ctx context.Context, s *streams, question string) (answer string, ok bool) {
	fmt.Fprint(s.Err, question)
	read := make(chan string, 1)
	go func() { read <- readLine(s.In) }() // a read of a terminal ends with the process
	select {
	case line := <-read:
		answer, ok = strings.CutSuffix(line, "\n")
	case <-ctx.Done():
	}
	if !ok {
		fmt.Fprintln(s.Err) // the terminal does not end the line
	}
	return strings.ToLower(strings.TrimSpace(answer)), ok
}

// readLine reads a line with its "\n", if it has one. It does not read past the
// line, since the rest may be for others.
func readLine(in io.Reader) string {
	var line []byte
	for b := make([]byte, 1); len(line) < 100; {
		n, err := in.Read(b)
		line = append(line, b[:n]...)
		if err != nil || bytes.HasSuffix(line, []byte("\n")) {
			break
		}
	}
	return string(line)
}

// readHidden asks for a line of a terminal, which does not show it. Ctrl-C ends the
// reading and restores the terminal: the signal alone would end devproxy and leave a
// shell that shows nothing.
func readHidden(s *streams, terminal *os.File, question string) ([]byte, error) {
	fmt.Fprint(s.Err, question)
	defer fmt.Fprintln(s.Err) // the terminal does not show Enter either
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
	go func() { // a read of a terminal cannot be interrupted and ends with the process
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
			return nil, failf("stty echo", "the terminal does not show what you type: %w", err)
		}
		return nil, exit(exitFailed)
	}
}
