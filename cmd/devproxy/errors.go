package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/failure"
)

// Exit codes, as README.md documents them.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitProxyfile = 3 // the Proxyfile has errors
	exitPort      = 4 // a port is taken or may not be bound
)

// exitError is an error with an exit code other than exitFailed.
type exitError struct {
	code int
	err  error
	// quiet means that the verb has already told the user.
	quiet bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// failf returns an error for exit code 1. The text is one lower-case sentence; fix is
// the command or edit that helps.
func failf(fix, format string, args ...any) error { return failure.Errorf(fix, format, args...) }

// usagef returns an error in the command line.
func usagef(fix, format string, args ...any) error {
	return &exitError{code: exitUsage, err: failf(fix, format, args...)}
}

// exit ends a verb with a code whose reason the verb has already printed.
func exit(code int) error {
	return &exitError{code: code, err: fmt.Errorf("exit code %d", code), quiet: true}
}

// failedEvent comes before an exit code other than 0.
type failedEvent struct {
	Event string `json:"event"`
	Error string `json:"error"`
	Fix   string `json:"fix,omitempty"`
}

// report prints err for the user and returns the exit code. With asJSON it also
// prints the failed event on Out.
func report(s *streams, err error, asJSON bool) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	if e, ok := errors.AsType[*exitError](err); ok {
		if code = e.code; e.quiet {
			return code
		}
	}
	text, fix := devproxy.Explain(err)
	if fix = typed(fix); asJSON {
		s.json(failedEvent{"failed", text, fix})
	}
	const prefix = "devproxy: "
	start := prefix
	for line := range strings.Lines(text) {
		s.hang(s.Err, start, len(prefix), strings.TrimSuffix(line, "\n"))
		start = strings.Repeat(" ", len(prefix)) // of further lines
	}
	for line := range strings.Lines(fix) {
		if line = strings.TrimRight(line, "\n"); isCommand(line) {
			fmt.Fprintln(s.Err, "  "+line)
		} else {
			s.hang(s.Err, "  ", 2, line)
		}
	}
	return code
}

// isCommand reports whether a line of a fix is only a command. It is not wrapped, so
// that it still runs when it is copied.
func isCommand(line string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return first == program() || slices.Contains([]string{"devproxy", "sudo", "echo", "export", "stty", "kill", "env"}, first)
}
