package websocket

import (
	"fmt"
	"io"
)

// MaxMessage is the longest message that a Filter passes, in bytes of payload. Rules.TooLong
// decides about longer ones.
const MaxMessage = 64 << 10

// Message is a complete data message of a client, unmasked.
type Message struct {
	// Binary is false for a text message, which may not be valid UTF-8.
	Binary bool
	// Data is the payload. It is valid only during the call.
	Data []byte
}

// Verdict is the decision about a message.
type Verdict int

// The verdicts.
const (
	Refuse Verdict = iota // close the WebSocket with PolicyViolation
	Drop                  // discard the message; the WebSocket continues
	Pass                  // pass the message on
)

// Rules decide about the messages of a client.
type Rules struct {
	// Judge decides about one message of at most MaxMessage bytes.
	Judge func(Message) Verdict
	// TooLong is the verdict on longer messages: Drop, or Refuse with the code TooBig.
	TooLong Verdict
}

// ViolationError is the error of frames or a message that close a WebSocket.
type ViolationError struct {
	Code   uint16 // for the close frame
	Reason string
}

// Error says why the WebSocket is closed.
func (e *ViolationError) Error() string { return e.Reason }

// Filter is a writer for the bytes that a client sends. It writes only control frames and
// the messages that its rules pass, each message as one frame with its own mask, so that two
// readers of the frames cannot disagree. It refuses compressed messages: the handshake must
// not agree on an extension. A Filter holds at most MaxMessage bytes. It is not safe for
// concurrent use.
type Filter struct {
	dst   io.Writer
	rules Rules
	err   error // the first; later writes return it too

	frame    Boundaries
	inside   bool   // a frame whose head was read
	start    int    // of its payload in message
	opened   byte   // opcode of the message that is arriving; 0 if none
	message  []byte // followed, in a control frame, by the payload of that
	tooLong  bool   // the rest of the message is discarded
	outgoing []byte
}

// NewFilter returns a Filter that writes to dst, a connection to a server.
func NewFilter(dst io.Writer, rules Rules) *Filter { return &Filter{dst: dst, rules: rules} }

// Write reads the next bytes of the client. Its error is a ViolationError, or that of the
// underlying writer.
func (f *Filter) Write(p []byte) (int, error) {
	if f.err == nil {
		f.outgoing = f.outgoing[:0]
		f.err = f.read(p)
		// What has passed so far is written, also before a violation.
		if len(f.outgoing) > 0 {
			if _, err := f.dst.Write(f.outgoing); err != nil {
				f.err = err
			}
		}
	}
	if f.err != nil {
		return 0, f.err
	}
	return len(p), nil
}

// read appends to outgoing what passes of p.
func (f *Filter) read(p []byte) error {
	for len(p) > 0 {
		if !f.inside {
			n, whole := f.frame.takeHead(p)
			p = p[n:]
			if !whole {
				break
			}
			if err := f.begin(); err != nil {
				return err
			}
		}
		n := min(f.frame.left, uint64(len(p)))
		f.take(p[:n])
		p = p[n:]
		if f.frame.left == 0 {
			if err := f.end(); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin checks the head of a frame (RFC 6455 sections 5.1 to 5.5).
func (f *Filter) begin() error {
	first := f.frame.head[0]
	f.inside, f.start = true, len(f.message)
	switch {
	case first&rsvBits != 0:
		return broken("a frame uses an extension that was not agreed on")
	case !f.frame.masked():
		return broken("a frame is not masked")
	}
	switch opcode := f.frame.opcode(); opcode {
	case opClose, opPing, opPong:
		if !f.frame.final() || f.frame.left > maxControl {
			return broken("a control frame is fragmented or too long")
		}
		return nil
	case opText, opBinary:
		if f.opened != 0 {
			return broken("a message begins inside another")
		}
		f.opened = opcode
	case opContinuation:
		if f.opened == 0 {
			return broken("a continuation belongs to no message")
		}
	default:
		return broken("a frame has an unknown opcode")
	}
	if f.frame.left > uint64(MaxMessage-len(f.message)) {
		if f.rules.TooLong != Drop {
			return &ViolationError{TooBig, fmt.Sprintf("a message is longer than %d bytes", MaxMessage)}
		}
		f.tooLong, f.start, f.message = true, 0, f.message[:0]
	}
	return nil
}

func broken(reason string) error { return &ViolationError{ProtocolError, reason} }

// take reads bytes of the payload.
func (f *Filter) take(p []byte) {
	f.frame.left -= uint64(len(p))
	if f.frame.opcode() >= opClose || !f.tooLong {
		f.message = append(f.message, p...)
	}
}

// end is called after the last byte of a frame.
func (f *Filter) end() error {
	f.inside = false
	payload := f.message[f.start:]
	mask(payload, f.frame.key())
	if opcode := f.frame.opcode(); opcode >= opClose {
		f.outgoing = appendMasked(f.outgoing, opcode, payload)
		f.message = f.message[:f.start]
		return nil
	}
	if !f.frame.final() {
		return nil
	}
	opcode, message, tooLong := f.opened, f.message, f.tooLong
	f.opened, f.message, f.tooLong = 0, f.message[:0], false
	if tooLong {
		return nil
	}
	switch f.rules.Judge(Message{Binary: opcode == opBinary, Data: message}) {
	case Pass:
		f.outgoing = appendMasked(f.outgoing, opcode, message)
	case Refuse:
		return &ViolationError{PolicyViolation, "a message is not allowed"}
	case Drop:
	}
	return nil
}
