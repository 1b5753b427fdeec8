package message

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/tunnel/page"
)

// Refusal is the reason why a head was refused.
type Refusal struct {
	// Status is 400, 414, 417, 431 or 501.
	Status int
	// Reason is one lower-case sentence: "two Host fields".
	Reason string
	// Section is the rule that was broken: "RFC 9112 §3.2".
	Section string
}

// Error is "two Host fields (RFC 9112 §3.2)".
func (r *Refusal) Error() string { return r.Reason + " (" + r.Section + ")" }

// Page implements page.Error.
func (r *Refusal) Page() page.Page {
	p := page.Page{Status: r.Status, Title: "This request can be read in two ways."}
	switch r.Status {
	case http.StatusRequestURITooLong:
		p.Title = "This URL is too long."
	case http.StatusExpectationFailed:
		p.Title = "The Expect field can't be met."
	case http.StatusRequestHeaderFieldsTooLarge:
		p.Title = "The header of this request is too large."
	case http.StatusNotImplemented:
		p.Title = "This kind of request is not supported."
	}
	return p
}

func refuse(status int, section, reason string) *Refusal {
	return &Refusal{Status: status, Reason: reason, Section: "RFC " + section}
}

// refusedMethod is the method of the request that net/http reads in place of a refused one.
// It is a legal token that the scanner refuses from clients, so no client can send it.
const refusedMethod = "!REFUSED!"

// refusedHead replaces a refused head. It announces a body, which never comes: net/http then
// closes with a pause in which the client can read the answer. Otherwise unread bytes of
// the client would reset the connection first.
const refusedHead = refusedMethod + " / HTTP/1.1\r\nHost: refused.invalid\r\nContent-Length: 9223372036854775807\r\n\r\n"

// BodyFault returns the mistake in the framing of r's body, once reading it has
// failed with err or r's context has ended; err is nil while no read has
// returned. It returns nil for a client that left within its body, and for
// everything else that is not the client's fault.
//
// Over HTTP/1 the fault is the scanner's *BodyError: net/http ends r's context before the
// failing read returns, and has its own errors for trailers. BodyFault must not be called
// while reading may succeed: the fault may be that of a request pipelined after r.
func BodyFault(r *http.Request, err error) error {
	if c, ok := r.Context().Value(connKey{}).(*Conn); ok {
		if fault := c.fault.Load(); fault != nil {
			return fault
		}
	}
	if r.ProtoMajor == 2 && err != nil && strings.Contains(err.Error(), "declared") && strings.Contains(err.Error(), "Content-Length") {
		// net/http's text: the error has no type.
		return broken("9113 §8.1.1", "its length differs from content-length")
	}
	return nil
}

// BodyError is the error of reading a request's body with broken framing. The message can
// never be completed: a proxy must abort it, and the connection is closed.
type BodyError struct {
	Reason  string // one lower-case sentence
	Section string // "RFC 9112 §7.1"
	// Err is io.ErrUnexpectedEOF when the client left before the end, else nil.
	Err error
}

// Error is "the client's body is broken: a chunk size is missing (RFC 9112 §7.1)".
func (e *BodyError) Error() string {
	return fmt.Sprintf("the client's body is broken: %s (%s)", e.Reason, e.Section)
}

// Unwrap returns Err.
func (e *BodyError) Unwrap() error { return e.Err }
