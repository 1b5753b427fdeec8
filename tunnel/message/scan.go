// Package message refuses HTTP requests that two parsers could read differently. It
// guards every listener for requests of strangers: devproxy's own and the relay's.
//
// # HTTP/1
//
// Scan and ScanTLS put a scanner between a connection and net/http. It follows the
// boundaries of messages itself and passes a message only if it can be read in one
// way (RFC 9112). Valid bytes pass unchanged. The server needs both hooks:
//
//	server := &http.Server{
//		Handler:     handler,
//		ConnContext: message.ConnContext,
//		ConnState:   message.ConnState,
//	}
//
// A bad head is replaced by a request with a reserved method, so that the handler
// answers with the refusal, in order after the answers to earlier pipelined requests;
// then the connection ends. A framing error inside a body makes the body's Read fail
// with a *BodyError, so that a forwarded request is aborted and never completed. One
// Read never crosses the end of a message: net/http holds at most one byte of a
// request before all earlier ones are answered.
//
// # HTTP/2
//
// net/http frames HTTP/2 itself and passes some malformed requests on: a method that
// is not a token, an authority that is not a host, a content-length that is not a
// number. Refused applies the rules of HTTP/1 to them.
//
// # What a handler does
//
// The outermost handler calls Refused before it reads anything else of the request:
// before routing, caching, counting or forwarding.
package message

import "io"

// phase is the scanner's position in a message.
type phase uint8

const (
	atStart     phase = iota // before a request line; an empty line may come first
	inHead                   // the head is held until all of it is checked
	inBody                   // remaining bytes of a body of known length
	atChunkSize              // the size line of a chunk
	inChunk                  // remaining bytes of a chunk
	atChunkEnd               // the CRLF after a chunk
	inTrailers               // the lines after the last chunk
	atEnd                    // the message has ended; nothing of the next is checked yet
)

// scanner checks the messages of one connection, in one pass and without its own memory:
// the caller holds bytes until they are checked. The zero scanner is at the start of the
// first message.
type scanner struct {
	phase     phase
	head      head
	remaining int64
	trailers  int // bytes of trailers so far
}

// skip returns the number of bytes to drop for one empty line before a request line, which
// some old clients send after a body (RFC 9112 §2.2).
func (s *scanner) skip(b []byte) int {
	switch {
	case s.phase != atStart, len(b) == 0, len(b) == 1 && b[0] == '\r':
		return 0
	}
	s.phase = inHead
	if b[0] == '\r' && b[1] == '\n' {
		return 2
	}
	return 0
}

// scan checks the bytes after those checked so far. The first n bytes of b may
// pass; 0 means that more must arrive first, or that the message has ended. The
// error is a *Refusal or a *BodyError, and final.
func (s *scanner) scan(b []byte) (n int, err error) {
	if s.phase != inHead {
		n, broken := s.scanBody(b)
		if broken != nil {
			return 0, broken
		}
		return n, nil
	}
	n, refusal := s.head.scan(b)
	if refusal != nil {
		return 0, refusal
	}
	if n > 0 {
		s.begin()
	}
	return n, nil
}

// begin starts the body that the head announced.
func (s *scanner) begin() {
	s.phase, s.remaining, s.trailers = atEnd, s.head.length, 0
	if s.head.chunked {
		s.phase = atChunkSize
	} else if s.head.length > 0 {
		s.phase = inBody
	}
}

func (s *scanner) scanBody(b []byte) (int, *BodyError) {
	switch s.phase {
	case inBody, inChunk:
		n := int(min(int64(len(b)), s.remaining))
		s.passed(n)
		return n, nil
	case atChunkSize:
		return s.chunkSize(b)
	case atChunkEnd:
		return s.chunkEnd(b)
	case inTrailers:
		return s.trailer(b)
	}
	return 0, nil
}

// free is how many bytes need no check: the rest of a body or a chunk.
func (s *scanner) free() int64 {
	if s.phase == inBody || s.phase == inChunk {
		return s.remaining
	}
	return 0
}

// passed counts bytes of a body.
func (s *scanner) passed(n int) {
	s.remaining -= int64(n)
	switch {
	case s.remaining > 0:
	case s.phase == inBody:
		s.phase = atEnd
	default:
		s.phase = atChunkEnd
	}
}

func (s *scanner) chunkSize(b []byte) (int, *BodyError) {
	line, n, err := bodyLine(b, maxChunkLine)
	if n == 0 {
		return 0, err
	}
	if s.remaining, err = parseChunkSize(line); err != nil {
		return 0, err
	}
	s.phase = inChunk
	if s.remaining == 0 {
		s.phase = inTrailers
	}
	return n, nil
}

func (s *scanner) chunkEnd(b []byte) (int, *BodyError) {
	switch {
	case len(b) > 0 && b[0] != '\r', len(b) > 1 && b[1] != '\n':
		return 0, broken("9112 §7.1", "a chunk is longer than its size")
	case len(b) < 2:
		return 0, nil
	}
	s.phase = atChunkSize
	return 2, nil
}

func (s *scanner) trailer(b []byte) (int, *BodyError) {
	line, n, err := bodyLine(b, maxTrailers-s.trailers)
	if n == 0 {
		return 0, err
	}
	if s.trailers += n; len(line) == 0 {
		s.phase = atEnd
		return n, nil
	}
	if err := checkTrailer(line); err != nil {
		return 0, err
	}
	return n, nil
}

// ended is the error for the end of the stream. A client that leaves within a head gets no
// answer.
func (s *scanner) ended() error {
	switch s.phase {
	case atStart, inHead, atEnd:
		return io.EOF
	}
	early := broken("9112 §8", "the connection ended before the message")
	early.Err = io.ErrUnexpectedEOF
	return early
}
