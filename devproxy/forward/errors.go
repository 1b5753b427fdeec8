package forward

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/page"
)

var (
	// ErrRetired is returned when the upstream was retired, or the request's
	// route closed, before anything was sent. The request can be matched again.
	ErrRetired = errors.New("the plan changed while the request waited")
	// ErrAborted is returned when no complete answer can be given any more: it
	// has begun and broke off, or the visitor has left or broken its own
	// request. The connection (the stream, in HTTP/2) must be cut.
	ErrAborted = errors.New("the exchange was cut off")
	// ErrEvicted is an ErrAborted because the request's body held most when
	// memory was short.
	ErrEvicted = fmt.Errorf("%w: its body held too much memory", ErrAborted)
	// ErrVisitorGone is an ErrAborted because the visitor left.
	ErrVisitorGone = fmt.Errorf("%w: the visitor left", ErrAborted)
)

// LoopError is a request that came back to the devproxy that sent it (508,
// RFC 5842 section 7.2).
type LoopError struct {
	Upstream string // the answer of the route that leads back: ":3000"
}

func (e *LoopError) Error() string {
	return fmt.Sprintf("upstream %s leads back to devproxy itself", e.Upstream)
}

// Page is how a client is shown the error.
func (e *LoopError) Page() page.Page {
	return page.Page{
		Status: http.StatusLoopDetected, Title: "This route leads back to devproxy.",
		Hints: []string{"Use the dev server's port in the route, not devproxy's."},
	}
}

// BodyError is a request whose body broke off or was malformed before the
// upstream had answered (400).
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "the request's body cannot be read: " + e.Err.Error() }

// Unwrap gives the error of reading.
func (e *BodyError) Unwrap() error { return e.Err }

// Page is how a client is shown the error.
func (e *BodyError) Page() page.Page {
	return page.Page{Status: http.StatusBadRequest, Title: "The body of this request is incomplete."}
}

// Unavailable is what is known of an upstream that refuses connections.
type Unavailable struct {
	Attempts []Attempt
	// Waited is how long the request was held.
	Waited time.Duration
}

// String is "nothing listens on 127.0.0.1:5173 or [::1]:5173".
func (u Unavailable) String() string {
	addrs := make([]string, len(u.Attempts))
	for i, a := range u.Attempts {
		addrs[i] = a.Addr
		if errors.Is(a.Err, errClosedAtOnce) || isReset(a.Err) {
			return a.Addr + " closes every connection at once: what it forwards to is not running yet"
		}
	}
	return "nothing listens on " + strings.Join(addrs, " or ")
}

// WaitingError is a navigation to an upstream that refuses connections: show
// the waiting page (503).
type WaitingError struct{ Unavailable }

func (e *WaitingError) Error() string { return e.String() }

// UnavailableError is any other request to an upstream that refused for as
// long as the request was held (503).
type UnavailableError struct {
	Unavailable
	// Full is true when the request was not held, since too many were already.
	Full bool
}

func (e *UnavailableError) Error() string {
	if e.Full {
		return e.String() + ", and as many requests as may wait for it do so already"
	}
	return fmt.Sprintf("%s, after %s", e.String(), e.Waited.Round(time.Millisecond))
}

// UpstreamError is an upstream that was reached, or could not be for another
// reason than refusing, and gave no usable answer (502).
type UpstreamError struct {
	Member string // ":3000"
	// Reason is what went wrong in words: "closed the connection without an
	// answer". Hint is what to do about it; empty when nothing is known.
	Reason, Hint string
	// Attempts are the addresses that were tried when none was reached.
	Attempts []Attempt
	Err      error
}

func (e *UpstreamError) Error() string {
	text := "upstream " + e.Member + " " + e.Reason
	if detail := cause(e.Err); !strings.Contains(e.Reason, detail) {
		text += " (" + detail + ")"
	}
	return text
}

// Unwrap gives the transport's own error.
func (e *UpstreamError) Unwrap() error { return e.Err }

// Page is how a client is shown the error.
func (e *UpstreamError) Page() page.Page {
	p := page.Page{Status: http.StatusBadGateway, Title: "The upstream did not return a valid response."}
	if e.Hint != "" {
		p.Hints = []string{strings.ToUpper(e.Hint[:1]) + e.Hint[1:]}
	}
	return p
}

// TimeoutError is an upstream that gave no answer within the route's timeout
// (504).
type TimeoutError struct {
	Member  string
	Timeout time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("upstream %s gave no answer within %s", e.Member, e.Timeout)
}

// Page is how a client is shown the error.
func (e *TimeoutError) Page() page.Page {
	return page.Page{
		Status: http.StatusGatewayTimeout, Title: "The upstream timed out.",
		Hints: []string{fmt.Sprintf("If it normally takes that long, raise `timeout` (now %q) or remove it.", e.Timeout)},
	}
}
