package devproxy

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// statusGone is the status recorded for a visitor who left before the answer;
// nobody is sent it. nginx made the number known.
const statusGone = 499

// exchange is one request being answered: the generation it lives in, the
// writer it is answered on, and what the record will say of it.
type exchange struct {
	generation *generation
	w          *responseWriter
	start      time.Time

	visit  *visit      // nil for a local request
	route  *plan.Route // nil until one matched
	mu     sync.Mutex
	report forward.Report // filled in when an upstream was asked; under mu, as a cache may read on when the visitor has left
	advice []advised      // what is to be told of the answer; under mu, for the same reason
	sent   atomic.Bool    // a page that may be waited for was sent to an upstream
	page   string         // which page of devproxy's own was shown
	err    error          // why
	own    bool           // answered for devproxy's own pages: not recorded
}

// advised is what is to be told once about what key names: a route, an upstream.
type advised struct{ key, text string }

// tell notes sentences. What comes after the exchange was recorded is told of a later
// one.
func (x *exchange) tell(key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, text := range texts {
		x.advice = append(x.advice, advised{key, text})
	}
}

// told are the sentences that were not told before.
func (s *Server) told(x *exchange) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var texts []string
	for _, a := range x.advice {
		texts = append(texts, s.advised.New(a.key, []string{a.text})...)
	}
	return texts
}

func (s *Server) open(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{generation: s.current.Load(), w: &responseWriter{ResponseWriter: w}, start: time.Now(), visit: newVisit(r)}
}

// close records the exchange.
func (s *Server) close(x *exchange, r *http.Request) {
	if s.opts.Recorder == nil || x.own {
		return
	}
	report := x.reported()
	record := inspect.Exchange{
		Start: x.start, Duration: time.Since(x.start),
		Method: r.Method, Host: r.Host, Target: requestTarget(r), Proto: r.Proto,
		Status: x.w.status, BytesOut: x.w.bytes,
		Generation: x.generation.number,
		Upstream:   report.Member, Held: report.Held, Resent: report.Resent, Upgrade: report.Upgrade,
		Fallback: report.Fallback, Cached: isHit(x.w.Header()), Advice: s.told(x),
		Page: x.page,
	}
	if x.visit != nil {
		x.visit.record(&record, r)
	}
	switch {
	case record.Status != 0:
	case report.Upgrade:
		record.Status = http.StatusSwitchingProtocols
	case x.err != nil:
		record.Status = statusGone
	default:
		record.Status = http.StatusOK
	}
	if x.route != nil {
		record.Route = x.route.Source.String()
	}
	if x.err != nil {
		record.Error = x.err.Error()
	}
	mask := x.generation.plan.Mask()
	record.Target, record.Error = mask.Text(record.Target), mask.Text(record.Error)
	s.opts.Recorder.Record(record)
}

func (x *exchange) setReport(report forward.Report) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.report = report
}

func (x *exchange) reported() forward.Report {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.report
}

// isHit reports whether a cache of devproxy's answered, alone or with what it was
// asking for somebody else: its item is the last of Cache-Status (RFC 9211
// section 2).
func isHit(h http.Header) bool {
	lines := h["Cache-Status"]
	if len(lines) == 0 {
		return false
	}
	own, is := strings.CutPrefix(lines[len(lines)-1], "devproxy; ")
	return is && (strings.HasPrefix(own, "hit") || strings.HasSuffix(own, "; collapsed"))
}
