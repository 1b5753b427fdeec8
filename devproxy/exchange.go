package devproxy

import (
	"net/http"
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

	visit  *visit         // nil for a local request
	route  *plan.Route    // nil until one matched
	report forward.Report // filled in when an upstream was asked
	page   string         // which page of devproxy's own was shown
	err    error          // why
	own    bool           // answered for devproxy's own pages: not recorded
}

func (s *Server) open(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{generation: s.current.Load(), w: &responseWriter{ResponseWriter: w}, start: time.Now(), visit: newVisit(r)}
}

// close records the exchange.
func (s *Server) close(x *exchange, r *http.Request) {
	if s.opts.Recorder == nil || x.own {
		return
	}
	record := inspect.Exchange{
		Start: x.start, Duration: time.Since(x.start),
		Method: r.Method, Host: r.Host, Target: requestTarget(r), Proto: r.Proto,
		Status: x.w.status, BytesOut: x.w.bytes,
		Generation: x.generation.number,
		Upstream:   x.report.Member, Held: x.report.Held, Resent: x.report.Resent, Upgrade: x.report.Upgrade,
		Page: x.page,
	}
	if x.visit != nil {
		x.visit.record(&record, r)
	}
	switch {
	case record.Status != 0:
	case x.report.Upgrade:
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
	s.opts.Recorder.Record(record)
}
