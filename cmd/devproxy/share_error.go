package main

import (
	"errors"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// describeError is why something was not shared, and what helps; empty for
// nil, and without a fix where there is none to suggest.
func describeError(err error) (text, fix string) {
	if err == nil {
		return "", ""
	}
	var (
		verb  *exitError
		asked *control.ShareError
		name  *tunnel.NameError
		relay *agent.Error
	)
	switch {
	case errors.As(err, &verb):
		fix = verb.fix
	case errors.As(err, &asked):
		fix = asked.Fix
	case errors.As(err, &name):
		fix = name.Fix
	case errors.As(err, &relay):
		fix = relay.Fix
	}
	return plainText(err), fix
}

// shareFailure is err as a verb ends with it.
func shareFailure(err error) error {
	var verb *exitError
	if err == nil || errors.As(err, &verb) {
		return err
	}
	_, fix := describeError(err)
	return failf(fix, "%w", err)
}
