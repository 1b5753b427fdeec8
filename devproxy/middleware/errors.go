package middleware

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// DeniedError is the error of an address that allow and deny don't let in (403).
type DeniedError struct {
	Addr netip.Addr // the zero Addr is unknown
}

func (e *DeniedError) Error() string {
	if !e.Addr.IsValid() {
		return "this route's allow and deny let in known addresses only, and the client's address is unknown"
	}
	return fmt.Sprintf("this route's allow and deny don't let %s in", e.Addr)
}

// Page returns the error as clients see it.
func (e *DeniedError) Page() page.Page {
	return page.Page{Status: http.StatusForbidden, Title: "Access from this address is not allowed."}
}

// LimitedError is the error of a client that sends too many requests, or too many
// wrong passwords (429).
type LimitedError struct {
	After time.Duration // when the client may try again, above zero
	What  string        // the limit: "this route takes 10/s"
}

func (e *LimitedError) Error() string {
	seconds := strconv.FormatFloat(math.Ceil(e.After.Seconds()*10)/10, 'f', -1, 64) // "0.1", "60"
	return fmt.Sprintf("%s; try again in %s s", e.What, seconds)
}

// Page returns the error as clients see it.
func (e *LimitedError) Page() page.Page {
	// Retry-After has whole seconds.
	after := max(1, int(math.Ceil(e.After.Seconds())))
	return page.Page{Status: http.StatusTooManyRequests, Title: "Too many requests.", RetryAfter: after}
}

// OriginError is the error of a preflight from an origin that cors does not
// allow (403).
type OriginError struct {
	Origin string
}

func (e *OriginError) Error() string {
	return fmt.Sprintf("this route's cors doesn't allow pages of %q: write cors = [%q], or cors = true for the hosts of the Proxyfile", e.Origin, e.Origin)
}

// Page returns the error as clients see it.
func (e *OriginError) Page() page.Page {
	return page.Page{Status: http.StatusForbidden, Title: "Requests from this origin are not allowed."}
}

// UnauthorizedError is the error of a request without a valid name and password
// for basic_auth (401, with a challenge of RFC 7617 section 2).
type UnauthorizedError struct {
	Realm string // the host
}

func (e *UnauthorizedError) Error() string {
	return "this route's basic_auth requires a name and a password"
}

// Page returns the error as clients see it.
func (e *UnauthorizedError) Page() page.Page {
	// RFC 7617 section 2; a realm is a host name and needs no escape.
	challenge := fmt.Sprintf(`Basic realm=%q, charset="UTF-8"`, e.Realm)
	return page.Page{Status: http.StatusUnauthorized, Title: "Sign in to continue.", Header: http.Header{"Www-Authenticate": {challenge}}}
}

// TooLargeError is the error of a body above max_body (413). Reading such a body
// fails with it.
type TooLargeError struct {
	Max int64 // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("this route takes bodies of up to %s (max_body), and this one is longer", plan.FormatSize(e.Max))
}

// Page returns the error as clients see it.
func (e *TooLargeError) Page() page.Page {
	return page.Page{Status: http.StatusRequestEntityTooLarge, Title: "This request is too large."}
}

// SimulatedError is the error of a request that simulate makes fail (503).
type SimulatedError struct {
	Share float64 // of the requests that fail, 0 to 1
}

func (e *SimulatedError) Error() string {
	return fmt.Sprintf("this route's simulate makes %g%% of its requests fail; the upstream got no request", 100*e.Share)
}

// Page returns the error as clients see it.
func (e *SimulatedError) Page() page.Page {
	return page.Page{Status: http.StatusServiceUnavailable, Title: "This failure is simulated."}
}
