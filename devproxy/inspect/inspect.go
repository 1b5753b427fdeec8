// Package inspect records exchanges in a bounded ring, to be looked at later or as
// they end, as by the access lines of the terminal.
//
// A record has no header and no body, so no secret is kept.
package inspect

import (
	"cmp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultCapacity is how many exchanges a Recorder keeps by default: a cold load of a
// large page, in at most 1 MB.
const DefaultCapacity = 1000

// maxTarget bounds a method, target, host or error in a record, in bytes. Clients
// choose them.
const maxTarget = 512

// Exchange is one request with its response. The zero value of a field means
// that it is unknown or did not happen.
type Exchange struct {
	ID       uint64 // from 1, in the order in which exchanges ended
	Start    time.Time
	Duration time.Duration // until the last byte of the response

	Method, Host, Target, Proto string
	Status                      int // 499: the client left before the response

	Generation uint64 // of the plan it was answered by
	Route      string // where the route is written: "Proxyfile:14"
	Upstream   string // the member that responded: ":3000"
	Page       string // which of devproxy's own pages was shown: "waiting page"
	Error      string // why the exchange failed

	BytesOut int64         // of the response's body
	Held     time.Duration // how long it waited for an upstream
	Resent   int           // how often it was sent again
	Upgrade  bool          // the connection was upgraded, 101
	Cached   bool          // devproxy's cache answered; no upstream was waited for
	Fallback bool          // no member answered, and a fallback did
	// Advice are sentences on what browsers will refuse or leak in the response,
	// each once for each route.
	Advice []string

	Share   string // the share that a visitor came through; empty: local
	Visitor string // the visitor's address, if known: "203.0.113.7"
	// Hidden names the thing that the share hid from the visitor: "Rails mail
	// previews". Show is the entry of `share { show = […] }` that shows it;
	// empty if none does.
	Hidden, Show string
}

// Recorder keeps the last exchanges. The zero value keeps DefaultCapacity of
// them. It is safe for concurrent use.
type Recorder struct {
	// Capacity is how many exchanges are kept; 0 means DefaultCapacity. It
	// must not change after the first was recorded.
	Capacity int

	mu   sync.Mutex
	ring []Exchange
	last uint64 // ID of the newest

	subscriber atomic.Pointer[Subscription]
}

// Record adds an exchange that ended, in place of the oldest when full. It
// never blocks.
func (r *Recorder) Record(x Exchange) {
	x.Method, x.Host, x.Target, x.Error, x.Show = clip(x.Method), clip(x.Host), clip(x.Target), clip(x.Error), clip(x.Show)
	r.mu.Lock()
	if r.ring == nil {
		r.ring = make([]Exchange, cmp.Or(max(r.Capacity, 0), DefaultCapacity))
	}
	r.last++
	x.ID = r.last
	r.ring[int((r.last-1)%uint64(len(r.ring)))] = x
	r.mu.Unlock()
	if s := r.subscriber.Load(); s != nil {
		s.offer(x)
	}
}

// clip cuts a text that is too long to keep. The copy frees the rest.
func clip(text string) string {
	if len(text) <= maxTarget {
		return text
	}
	return strings.ToValidUTF8(text[:maxTarget], "") + "…"
}

// Recent returns the last n exchanges, the newest first, or all that are kept.
func (r *Recorder) Recent(n int) []Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, len(r.ring), int(min(r.last, uint64(len(r.ring)))))
	recent := make([]Exchange, 0, max(n, 0))
	for id := r.last; len(recent) < n; id-- {
		recent = append(recent, r.ring[int((id-1)%uint64(len(r.ring)))])
	}
	return recent
}

// Subscription receives exchanges as they end.
type Subscription struct {
	// C receives each exchange. While it is full, exchanges are dropped and
	// counted, and no request waits.
	C      <-chan Exchange
	send   chan<- Exchange
	missed atomic.Uint64
}

// Missed returns how many exchanges were dropped since the last call.
func (s *Subscription) Missed() uint64 { return s.missed.Swap(0) }

func (s *Subscription) offer(x Exchange) {
	select {
	case s.send <- x:
	default:
		s.missed.Add(1)
	}
}

// Subscribe makes the one subscription of a Recorder, with room for buffer
// unread exchanges; a second replaces the first.
func (r *Recorder) Subscribe(buffer int) *Subscription {
	c := make(chan Exchange, buffer)
	s := &Subscription{C: c, send: c}
	r.subscriber.Store(s)
	return s
}
