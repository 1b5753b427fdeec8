package tunnel

import (
	"errors"
	"fmt"
)

// Why a session ended, or a stream failed.
var (
	// ErrClosed is a session that either end closed without giving a reason.
	ErrClosed = errors.New("the session was closed")
	// ErrReplaced is a session whose place a newer one of the same key took.
	ErrReplaced = errors.New("a newer session of the same key has taken over")
	// ErrLost is a session that had no lane for ResumeTimeout.
	ErrLost = errors.New("every connection was lost for 30 s")
	// ErrDraining is a stream that was to be opened on a session that drains.
	ErrDraining = errors.New("the session takes no new streams")
	// ErrDrained is a session that ended with its last stream.
	ErrDrained = errors.New("the session was drained")
	// ErrTooManyStreams is a stream beyond MaxStreams.
	ErrTooManyStreams = errors.New("too many streams are open")
	// ErrReset is a stream that the other end gave up.
	ErrReset = errors.New("the stream was reset by the other end")
	// ErrStopped is a write that the other end will not read.
	ErrStopped = errors.New("the other end reads no more of the stream")
)

// ProtocolError is the end of a session whose other end broke the rules of
// spec.md.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return "the other end broke the protocol: " + e.Text }

// Refusal is a "no" that one end tells the other.
type Refusal struct {
	Code Code
	// Message is for people, at most 256 bytes; longer ones are cut.
	Message string
}

func (r *Refusal) Error() string {
	if r.Message == "" {
		return fmt.Sprintf("refused with code %d", r.Code)
	}
	return r.Message
}

// Unwrap makes errors.Is find the errors of this package that codes stand for.
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

// Code says why one end refuses or ends a session. The codes up to 63 are the
// tunnel's, those from 64 its user's.
type Code uint16

// The codes.
const (
	codeClosed  Code = 0 // the end that was asked for
	codeDrained Code = 7 // the last stream of a drained session is over

	CodeFailed    Code = 1 // something failed at the other end
	CodeBadHello  Code = 2 // the hello cannot be read, or is of another version
	CodeBadProof  Code = 3 // the signature does not fit this connection: TLS is intercepted, or the hello was copied
	CodeNoSession Code = 4 // the session to join is not there (any more)
	CodeReplaced  Code = 5 // a newer session of the same key has taken over
	CodeBusy      Code = 6 // too many sessions or handshakes; later

	CodeUnknownKey Code = 64 // the relay does not know this key
	CodeRevoked    Code = 65 // the key was revoked
	CodeBadToken   Code = 66 // the enrolment token is not, or no longer, valid
	CodeNameTaken  Code = 67 // a name belongs to another key
	CodeBadClaim   Code = 68 // a claim that cannot be granted as it is
	CodeEnded      Code = 69 // a name whose share has ended
	CodeReleased   Code = 70 // the plain name was given up, as the claim asked
)
