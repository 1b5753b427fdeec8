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

// DeniedError is the error of an address that allow and deny keep out (403).
type DeniedError struct {
	Addr netip.Addr // the zero Addr is not known
}

func (e *DeniedError) Error() string {
	if !e.Addr.IsValid() {
		return "this route's allow and deny let nobody in whose address is not known"
	}
	return fmt.Sprintf("this route's allow and deny keep %s out", e.Addr)
}

// Page is how a client is shown the error.
func (e *DeniedError) Page() page.Page {
	return page.Page{Status: http.StatusForbidden, Title: "Access from this address is not allowed."}
}

// LimitedError is the error of somebody who asks too often, or guesses too often
// at a password (429).
type LimitedError struct {
	After time.Duration // when it may be tried again, above zero
	What  string        // what there was too much of: "this route takes 10/s"
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("%s; try again in %s", e.What, inSeconds(e.After))
}

// Page is how a client is shown the error.
func (e *LimitedError) Page() page.Page {
	// Retry-After has whole seconds.
	after := max(1, int(math.Ceil(e.After.Seconds())))
	return page.Page{Status: http.StatusTooManyRequests, Title: "Too many requests.", RetryAfter: after}
}

// inSeconds is d as people say it: "0.1 s", "60 s".
func inSeconds(d time.Duration) string {
	return strconv.FormatFloat(math.Ceil(d.Seconds()*10)/10, 'f', -1, 64) + " s"
}

// OriginError is the error of a preflight from an origin that cors does not
// name (403).
type OriginError struct {
	Origin string
}

func (e *OriginError) Error() string {
	return fmt.Sprintf("this route lets no pages of %q ask: write cors = [%q], or cors = true for the hosts of the Proxyfile", e.Origin, e.Origin)
}

// Page is how a client is shown the error.
func (e *OriginError) Page() page.Page {
	return page.Page{Status: http.StatusForbidden, Title: "Requests from this origin are not allowed."}
}

// UnauthorizedError is the error of a request without the name and password
// that basic_auth asks for (401, with a challenge of RFC 7617 section 2).
type UnauthorizedError struct {
	Realm string // the host
}

func (e *UnauthorizedError) Error() string {
	return "this route asks for a name and a password of its basic_auth"
}

// Page is how a client is shown the error.
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

// Page is how a client is shown the error.
func (e *TooLargeError) Page() page.Page {
	return page.Page{Status: http.StatusRequestEntityTooLarge, Title: "This request is too large."}
}

// SimulatedError is the error of a request that simulate makes fail (503).
type SimulatedError struct {
	Share float64 // of the requests that fail, 0 to 1
}

func (e *SimulatedError) Error() string {
	return fmt.Sprintf("this route's simulate makes %g%% of its requests fail; the upstream was not asked", 100*e.Share)
}

// Page is how a client is shown the error.
func (e *SimulatedError) Page() page.Page {
	return page.Page{Status: http.StatusServiceUnavailable, Title: "This failure is simulated."}
}
