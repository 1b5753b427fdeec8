package rewrite

import (
	"io"
	"sync"
)

// maxSink is how much of a changed response is collected, in bytes, unless it is
// flushed. A shorter one gets a Content-Length then, and a longer one is sent in few
// pieces.
const maxSink = 128 << 10

// sinks keep the buffers of a sink. The pool is safe for concurrent use.
var sinks = sync.Pool{New: func() any { b := make([]byte, 0, maxSink); return &b }}

// sink is the last step of a response: it collects what is written.
type sink struct {
	to    io.Writer
	begin func() // sends the head; called before anything is written to to
	buf   *[]byte
}

func newSink(to io.Writer, begin func()) *sink {
	return &sink{to, begin, sinks.Get().(*[]byte)}
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	if len(*s.buf)+len(p) > maxSink {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > maxSink {
		return s.to.Write(p)
	}
	*s.buf = append(*s.buf, p...)
	return len(p), nil
}

// flush writes what was collected, after the head.
func (s *sink) flush() error {
	s.begin()
	if len(*s.buf) == 0 {
		return nil
	}
	_, err := s.to.Write(*s.buf)
	*s.buf = (*s.buf)[:0]
	return err
}

// free gives up what was collected. Nothing is written after it.
func (s *sink) free() {
	if s.buf != nil {
		*s.buf = (*s.buf)[:0]
		sinks.Put(s.buf)
		s.buf = nil
	}
}
