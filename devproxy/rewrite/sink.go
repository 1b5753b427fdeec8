package rewrite

import (
	"io"
	"sync"
	"sync/atomic"
)

// maxSink is how much of a changed response is collected, in bytes, unless it is
// flushed. A shorter one gets a Content-Length then, and a longer one is sent in few
// pieces.
const maxSink = 128 << 10

// maxSinks is how many responses at one time may collect so much. Further ones collect
// smallSink each, so that many slow readers take little memory.
const (
	maxSinks  = 512
	smallSink = 8 << 10
)

// sinks keep the buffers of a sink. The pool is safe for concurrent use.
var sinks = sync.Pool{New: func() any { b := make([]byte, 0, maxSink); return &b }}

// sink is the last step of a response: it collects what is written.
type sink struct {
	to    io.Writer
	begin func() // sends the head; called before anything is written to to
	buf   *[]byte
	most  int // how much is collected
}

// openSinks counts those that are not free.
var openSinks atomic.Int64

func newSink(to io.Writer, begin func()) *sink {
	if openSinks.Add(1) > maxSinks {
		small := make([]byte, 0, smallSink)
		return &sink{to, begin, &small, smallSink}
	}
	return &sink{to, begin, sinks.Get().(*[]byte), maxSink}
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	if len(*s.buf)+len(p) > s.most {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > s.most {
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
		if *s.buf = (*s.buf)[:0]; s.most == maxSink {
			sinks.Put(s.buf)
		}
		s.buf = nil
		openSinks.Add(-1)
	}
}
