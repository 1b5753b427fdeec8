package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Exit codes, as documented in README.md.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitProxyfile = 3 // the Proxyfile has errors
	exitPort      = 4 // a port is taken or may not be bound
)

// exitError is a verb's failure: what failed, the command or edit that fixes
// it, and the exit code.
type exitError struct {
	code int
	err  error
	fix  string // empty means there is nothing to suggest
	// quiet means the verb has already told the user, in its own form.
	quiet bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// failf is a failure with exit code 1. The text is one lower-case sentence.
func failf(fix, format string, args ...any) error {
	return &exitError{code: exitFailed, err: fmt.Errorf(format, args...), fix: fix}
}

// usagef is a failure of the command line's words.
func usagef(fix, format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), fix: fix}
}

// exit is a verb's end with a code whose reason the verb has already printed.
func exit(code int) error {
	return &exitError{code: code, err: fmt.Errorf("exit code %d", code), quiet: true}
}

// report prints err as the user reads it and returns the exit code. With
// asJSON the failed event of the command line's contract is printed on Out too.
func report(s *streams, err error, asJSON bool) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{code: exitFailed, err: err}
	}
	if e.quiet {
		return e.code
	}
	fix := typed(e.fix)
	if asJSON {
		event := struct {
			Event string `json:"event"`
			Error string `json:"error"`
			Fix   string `json:"fix,omitempty"`
		}{"failed", plainText(e.err), fix}
		if text, err := json.Marshal(event); err == nil {
			fmt.Fprintf(s.Out, "%s\n", text)
		}
	}
	const prefix = "devproxy: "
	start := prefix
	for text := range strings.Lines(plainText(e.err)) {
		for i, line := range s.hanging(len(prefix), len(prefix), strings.TrimSuffix(text, "\n")) {
			if i == 0 {
				line = start + line
			}
			fmt.Fprintln(s.Err, line)
		}
		start = strings.Repeat(" ", len(prefix)) // of a further line
	}
	for line := range strings.Lines(fix) {
		line = strings.TrimRight(line, "\n")
		lines := []string{line}
		if !isCommand(line) {
			lines = s.hanging(2, 2, line)
		}
		for i, line := range lines {
			if i == 0 {
				line = "  " + line
			}
			fmt.Fprintln(s.Err, line)
		}
	}
	return e.code
}

// isCommand reports whether a line of a fix is a command alone. It is not wrapped:
// what is copied must run.
func isCommand(line string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return first == program() || slices.Contains([]string{"devproxy", "sudo", "echo", "export", "stty", "kill", "env"}, first)
}
