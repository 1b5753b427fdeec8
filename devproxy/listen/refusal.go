package listen

import (
	"fmt"
	"net/http"
)

// Refusal is why a head was refused.
type Refusal struct {
	// Status is 400, 414, 431 or 501.
	Status int
	// Reason is one lower-case sentence: "two Host fields".
	Reason string
	// Section is the rule that was broken: "RFC 9112 §3.2".
	Section string
}

// Error makes a Refusal an error: "two Host fields (RFC 9112 §3.2)".
func (r *Refusal) Error() string { return r.Reason + " (" + r.Section + ")" }

func refuse(status int, section, reason string) *Refusal {
	return &Refusal{Status: status, Reason: reason, Section: "RFC " + section}
}

// refusedMethod is the method of the request that net/http reads in place of a
// refused one. It is a legal token that the scanner refuses from clients, so
// nobody else can send it.
const refusedMethod = "!REFUSED!"

// refusedHead stands for a refused head. It announces a body, which never
// comes, because net/http then closes with a pause in which the client can
// read the answer; bytes of the client that nobody read would otherwise reset
// the connection under it.
const refusedHead = refusedMethod + " / HTTP/1.1\r\nHost: refused.invalid\r\nContent-Length: 9223372036854775807\r\n\r\n"

// Refused tells whether r stands for a head that the scanner refused. Such a
// request has nothing of the client's in it: the outermost handler answers it
// with the refusal's status, reads no body and hands it to nobody. The
// connection is closed after it.
func Refused(r *http.Request) (*Refusal, bool) {
	if r.Method != refusedMethod {
		return nil, false
	}
	g, ok := r.Context().Value(factsKey{}).(*guarded)
	if !ok || g.refusal == nil {
		return nil, false
	}
	return g.refusal, true
}

// BodyError is what reading a request's body returns once its framing is
// broken. The message can never be completed: whoever forwards it must abort,
// and the connection is closed.
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

// Unwrap gives Err.
func (e *BodyError) Unwrap() error { return e.Err }
