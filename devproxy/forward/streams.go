package forward

import (
	"io"
	"sync"
	"sync/atomic"
)

// stream is an exchange without an end of its own.
type stream interface {
	route() string
	// end closes it properly. It must not block.
	end()
}

// streams are the open streams of an upstream.
type streams struct {
	mu  sync.Mutex
	all map[stream]struct{}
}

func (s *streams) add(st stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[stream]struct{}{}
	}
	s.all[st] = struct{}{}
}

func (s *streams) remove(st stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, st)
}

func (s *streams) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *streams) closeAll(routeID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for st := range s.all {
		if st.route() == routeID {
			st.end()
			delete(s.all, st)
			n++
		}
	}
	return n
}

// eventStream is a text/event-stream body that can be ended as if the upstream
// had: the browser connects again by itself.
type eventStream struct {
	routeID string
	body    io.ReadCloser
	ended   atomic.Bool
}

func (s *streams) openEvents(routeID string, body io.ReadCloser) *eventStream {
	e := &eventStream{routeID: routeID, body: body}
	s.add(e)
	return e
}

func (e *eventStream) route() string { return e.routeID }

func (e *eventStream) end() {
	e.ended.Store(true)
	_ = e.body.Close() // wakes the Read
}

func (e *eventStream) Read(p []byte) (int, error) {
	n, err := e.body.Read(p)
	if err != nil && e.ended.Load() {
		return n, io.EOF
	}
	return n, err
}
