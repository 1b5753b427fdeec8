package service

import (
	"fmt"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// Phase is how far a service is.
type Phase string

// The phases of a service.
const (
	Waiting  Phase = "waiting"  // for other services to be ready
	Starting Phase = "starting" // its command runs
	Running  Phase = "ready"    // its condition was met once since it started
	Ending   Phase = "ending"   // its command was asked to end or has ended, and something of it still runs
	Failed   Phase = "failed"   // its command has ended and should not have, or could not be started
	Stopped  Phase = "stopped"  // its command has ended with status 0, or was stopped
)

// State is what is known of a service.
type State struct {
	Name  string
	Phase Phase
	Since time.Time // of the phase
	// PID is the process of the command; 0 while none runs.
	PID int
	// Port is where it listens. It differs from the port it was asked to use only if it
	// was found to listen elsewhere.
	Port uint16
	// WaitsFor are the services that are not ready yet; only in Waiting.
	WaitsFor []string
	// Late says why it is not ready yet; only in Starting, when that takes long.
	Late string
	// Exit is how the command ended; only in Failed and Stopped.
	Exit Exit
	// Output is the end of what it printed, without colours, at most maxTail lines; only
	// when it fails, in Ending too, when it starts again after that, and while it is Late.
	Output []string
	// Failures counts how often in a row it has failed.
	Failures int
	// Next is when it starts again; zero if it does not by itself.
	Next time.Time
}

// String says what the service does: "web is starting".
func (s State) String() string {
	switch s.Phase {
	case Waiting:
		if len(s.WaitsFor) > 0 {
			return s.Name + " waits for " + strings.Join(s.WaitsFor, ", ")
		}
	case Running:
		return s.Name + " is ready"
	case Ending:
		return s.Name + " is ending"
	case Failed, Stopped:
		if s.Exit.Error != "" {
			return s.Name + " can't run: " + s.Exit.Error
		}
		return s.Name + " " + s.Exit.String()
	case Starting:
		if s.Late != "" {
			return s.Name + " is not ready: " + s.Late
		}
	}
	return s.Name + " is starting"
}

// NotReadyError is the error of a connection to a service that is not ready. It counts
// as a refused connection.
type NotReadyError struct{ State State }

func (e *NotReadyError) Error() string { return e.State.String() }

// NotReady tells the error apart from that of a port on which nothing listens.
func (e *NotReadyError) NotReady() bool { return true }

// Unwrap returns the error of a refused connection.
func (e *NotReadyError) Unwrap() error { return neterror.ErrRefused }

// Exit is how a command ended. The zero value is status 0.
type Exit struct {
	Status int    `json:"status,omitempty"`
	Signal string `json:"signal,omitempty"` // "SIGKILL", if a signal ended it
	// Error says why it could not be started or had to be ended.
	Error string `json:"error,omitempty"`
}

// OK reports whether the command ended by itself with status 0.
func (e Exit) OK() bool { return e == Exit{} }

// String is "exited with status 1", "was ended by SIGKILL" or why it did not run.
func (e Exit) String() string {
	switch {
	case e.Error != "":
		return e.Error
	case e.Signal != "":
		return "was ended by " + e.Signal
	}
	return fmt.Sprintf("exited with status %d", e.Status)
}
