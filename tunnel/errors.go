package tunnel

import (
	"cmp"
	"errors"
	"fmt"
)

// Why a session ended, or a stream failed.
var (
	// ErrClosed: either end closed the session without a reason.
	ErrClosed = errors.New("the session was closed")
	// ErrReplaced: a newer session of the same key replaced this one.
	ErrReplaced = errors.New("a newer session of the same key has taken over")
	// ErrLost: the session had no lane for ResumeTimeout.
	ErrLost = errors.New("every connection was lost for 30 s")
	// ErrDraining: the session drains, so that no stream can be opened.
	ErrDraining = errors.New("the session takes no new streams")
	// ErrDrained: a draining session ended with its last stream.
	ErrDrained = errors.New("the session was drained")
	// ErrTooManyStreams: MaxStreams are open.
	ErrTooManyStreams = errors.New("too many streams are open")
	// ErrReset: the other end gave the stream up.
	ErrReset = errors.New("the stream was reset by the other end")
	// ErrStopped: the other end reads no more of the stream.
	ErrStopped = errors.New("the other end reads no more of the stream")
)

// ProtocolError is the end of a session whose other end broke the rules of
// spec.md.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return "the other end broke the protocol: " + e.Text }

func protocolErrorf(format string, args ...any) *ProtocolError {
	return &ProtocolError{fmt.Sprintf(format, args...)}
}

// Refusal is how one end refuses something to the other, or ends the session.
type Refusal struct {
	Code Code
	// Message is text for people, at most 256 bytes; longer texts are cut.
	Message string
}

func (r *Refusal) Error() string {
	return cmp.Or(r.Message, fmt.Sprintf("refused with code %d", r.Code))
}

// Unwrap returns the error of this package that the code means, for errors.Is.
func (r *Refusal) Unwrap() error {
	switch r.Code {
	case CodeReplaced:
		return ErrReplaced
	case codeClosed:
		return ErrClosed
	case codeDrained:
		return ErrDrained
	}
	return nil
}

// asError returns the error of a session that r ends.
func (r *Refusal) asError() error {
	return cmp.Or(r.Unwrap(), error(r))
}

// frame returns the last frame of a session that r ends.
func (r *Refusal) frame() wireFrame {
	return wireFrame{kind: kindClose, number: uint64(r.Code), data: []byte(cut(r.Message))}
}

// Code says why one end refuses or ends a session. The codes up to 63 belong to the
// tunnel, those from 64 to the program that uses it.
type Code uint16

// The codes.
const (
	codeClosed  Code = 0 // Close was called
	codeDrained Code = 7 // the last stream of a drained session has ended

	CodeFailed    Code = 1 // something failed at the other end
	CodeBadHello  Code = 2 // the hello cannot be read, or has another version
	CodeBadProof  Code = 3 // the signature does not fit this connection: TLS is intercepted, or the hello was copied
	CodeNoSession Code = 4 // the session to join no longer exists
	CodeReplaced  Code = 5 // a newer session of the same key has taken over
	CodeBusy      Code = 6 // too many sessions or handshakes; try again later

	CodeUnknownKey Code = 64 // the relay does not know this key
	CodeRevoked    Code = 65 // the key was revoked
	CodeBadToken   Code = 66 // the enrolment token is not, or no longer, valid
	CodeNameTaken  Code = 67 // a name belongs to another key
	CodeBadClaim   Code = 68 // the claim cannot be granted as it is
	CodeEnded      Code = 69 // the share of this name has ended
	CodeReleased   Code = 70 // the plain name was released, as the claim requested
	CodeUnproven   Code = 71 // no DNS record proves that the claim's domain belongs to the key
)
