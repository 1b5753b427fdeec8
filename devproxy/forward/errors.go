package forward

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrRetired means that the upstream was retired before anything was sent:
	// match the request again, on the plan that is current now.
	ErrRetired = errors.New("the upstream is no longer part of the plan")
	// ErrAborted means that the exchange broke off after the response began,
	// or that the visitor left: the connection must be closed so that nobody
	// takes what was sent for the whole.
	ErrAborted = errors.New("the exchange was broken off")
)

// Attempt is one address that was tried and what came of it.
type Attempt struct {
	Addr string
	Err  error
}

// WaitingError is the error of a page navigation to an upstream that refuses
// connections: it is answered with the waiting page.
type WaitingError struct{ Unavailable }

func (e *WaitingError) Error() string { return "waiting: " + e.text() }

// UnavailableError is the error of any other request to an upstream that
// refused connections for as long as the request was held.
type UnavailableError struct {
	Unavailable
	// Full means that the request was not held, since too many were already.
	Full bool
}

func (e *UnavailableError) Error() string {
	if e.Full {
		return fmt.Sprintf("%s, and %d requests wait for it already", e.text(), maxHeld)
	}
	return e.text()
}

// Unavailable is what is known of an upstream that refuses connections.
type Unavailable struct {
	Attempts []Attempt
	Waited   time.Duration
}

func (u Unavailable) text() string {
	addrs := make([]string, len(u.Attempts))
	for i, a := range u.Attempts {
		addrs[i] = a.Addr
	}
	return "nothing listens on " + strings.Join(addrs, " or ")
}

// UpstreamError is the error of an upstream that was reached and gave no
// usable answer.
type UpstreamError struct {
	Member string // ":3000"
	// Sent means that the request may have reached the upstream and was not
	// sent again, since that could do its work twice.
	Sent bool
	Err  error
}

func (e *UpstreamError) Error() string {
	text := fmt.Sprintf("upstream %s: %v", e.Member, e.Err)
	if e.Sent {
		text += "; the request was not sent again, since it may have been carried out"
	}
	return text
}

// Unwrap gives Err.
func (e *UpstreamError) Unwrap() error { return e.Err }

// TimeoutError is the error of an upstream that sent no response byte within
// the route's timeout.
type TimeoutError struct {
	Member  string
	Timeout time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("upstream %s sent nothing for %s, the route's timeout", e.Member, e.Timeout)
}

// LoopError is the error of a request that has been here before.
type LoopError struct{ Member string }

func (e *LoopError) Error() string {
	return fmt.Sprintf("upstream %s leads back to devproxy itself", e.Member)
}

// TargetError is the error of a request target that cannot be forwarded byte
// for byte.
type TargetError struct{ Target string }

func (e *TargetError) Error() string {
	return fmt.Sprintf("the request target %q cannot be forwarded unchanged", e.Target)
}

// BodyError is the error of a request whose body broke off or was malformed,
// before the upstream had answered.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return fmt.Sprintf("reading the request's body: %v", e.Err) }

// Unwrap gives Err.
func (e *BodyError) Unwrap() error { return e.Err }
