package provider

import (
	"errors"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// The reasons that only providers have.
const (
	// ReasonProgram: a program that the provider needs is missing, or too old.
	ReasonProgram agent.Reason = "no_program"
	// ReasonNoURL: the server forwards, but says no https:// address.
	ReasonNoURL agent.Reason = "no_url"
)

// isFatal reports whether trying again is no use before the user has changed
// something.
func isFatal(err *agent.Error) bool {
	switch err.Reason {
	case agent.ReasonRelay, agent.ReasonPin, agent.ReasonUnknownKey, ReasonProgram, ReasonNoURL:
		return true
	}
	return false
}

// broken is a tunnel that went away.
func broken(name string, err error) *agent.Error {
	if err == nil {
		err = errors.New("it has ended")
	}
	return &agent.Error{Reason: agent.ReasonBroken, Op: "share through", Addr: name, Err: err, Fix: "it is tried again"}
}
