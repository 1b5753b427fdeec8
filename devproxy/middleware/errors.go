package middleware

import (
	"fmt"
	"net/netip"
	"time"
)

// DeniedError is the error of an address that allow and deny keep out (403).
type DeniedError struct {
	Addr netip.Addr // the zero Addr is not known
}

func (e *DeniedError) Error() string {
	if !e.Addr.IsValid() {
		return "allow and deny of this route let nobody in whose address is not known"
	}
	return fmt.Sprintf("allow and deny of this route keep %s out", e.Addr)
}

// LimitedError is the error of somebody who asks too often, or guesses too often
// at a password (429).
type LimitedError struct {
	After time.Duration // when it may be tried again, above zero
	What  string        // what there was too much of: "rate_limit of this route: 10 in 1s"
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("%s; try again in %s", e.What, e.After.Round(time.Second/10))
}

// OriginError is the error of a preflight from an origin that cors does not
// name (403).
type OriginError struct {
	Origin string
}

func (e *OriginError) Error() string {
	return fmt.Sprintf("cors of this route does not let pages of %q ask: write cors = [%q], or cors = true for the hosts of the Proxyfile", e.Origin, e.Origin)
}

// UnauthorizedError is the error of a request without the name and password
// that basic_auth asks for (401, with a challenge of RFC 7617 section 2).
type UnauthorizedError struct {
	Realm string // the host
}

func (e *UnauthorizedError) Error() string {
	return "basic_auth of this route asks for a name and a password that it knows"
}

// TooLargeError is the error of a body above max_body (413). Reading such a body
// fails with it.
type TooLargeError struct {
	Max int64 // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("max_body of this route lets %d bytes pass, and this request has more", e.Max)
}

// SimulatedError is the error of a request that simulate makes fail (503).
type SimulatedError struct {
	Share float64 // of the requests that fail, 0 to 1
}

func (e *SimulatedError) Error() string {
	return fmt.Sprintf("simulate = { errors = \"%g%%\" } of this route made this request fail; the upstream was not asked", 100*e.Share)
}
