package devproxy

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// exchange is one request and its response: the generation it stays in, the
// writer of its response, and its record.
type exchange struct {
	server     *Server
	generation *generation
	w          *responseWriter
	start      time.Time

	visit  *visit      // nil for a local request
	route  *plan.Route // nil until one matched
	mu     sync.Mutex
	report forward.Report // of the upstream; under mu, since a cache may read on when the client has left
	advice []advised      // on the response; under mu, for the same reason
	sent   atomic.Bool    // a page that may be waited for was sent to an upstream
	page   string         // which of devproxy's own pages was shown
	err    error          // why
	own    bool           // answered for devproxy's own pages: not recorded
}

// advised is a sentence to be told once about what key names: a route, an upstream.
type advised struct{ key, text string }

// maxAdvice is how many different sentences one exchange may have. What a page
// contains, and so what is said about it, may be a stranger's text.
const maxAdvice = 20

// tell adds sentences to the record, each once. Sentences beyond maxAdvice, and those
// added after the record is complete, are lost.
func (x *exchange) tell(key string, texts []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, text := range texts {
		if a := (advised{key, text}); len(x.advice) < maxAdvice && !slices.Contains(x.advice, a) {
			x.advice = append(x.advice, a)
		}
	}
}

// told returns the sentences that were not told before.
func (x *exchange) told() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var texts []string
	for _, a := range x.advice {
		texts = append(texts, x.server.advised.New(a.key, []string{a.text})...)
	}
	return texts
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

func (s *Server) open(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{server: s, generation: s.current.Load(), w: &responseWriter{ResponseWriter: w}, start: time.Now(), visit: newVisit(r)}
}

// statusGone is the status recorded for a client that left before the response. It is
// never sent. nginx made the number known.
const statusGone = 499

// close records the exchange.
func (x *exchange) close(r *http.Request) {
	if x.server.opts.Recorder == nil || x.own {
		return
	}
	report := x.reported()
	record := x.newRecord(r)
	record.Start, record.Duration = x.start, time.Since(x.start)
	record.Status, record.Page = x.w.status, x.page
	record.Upstream, record.Held, record.Resent, record.Upgrade = report.Member, report.Held, report.Resent, report.Upgrade
	record.Fallback, record.Cached, record.Advice = report.Fallback, isHit(x.w.Header()), x.told()
	switch {
	case record.Status != 0:
	case report.Upgrade:
		record.Status = http.StatusSwitchingProtocols
	case x.err != nil:
		record.Status = statusGone
	default:
		record.Status = http.StatusOK
	}
	if x.err != nil {
		record.Error = x.generation.plan.Mask().Text(x.err.Error())
	}
	x.server.opts.Recorder.Record(record)
}

// newRecord returns a record of r that does not have its outcome yet.
func (x *exchange) newRecord(r *http.Request) inspect.Exchange {
	record := inspect.Exchange{Method: r.Method, Host: r.Host, Target: requestTarget(r), Generation: x.generation.number}
	if x.route != nil {
		record.Route = x.route.Source.String()
	}
	if x.visit != nil {
		x.visit.record(&record, r)
	}
	record.Target = x.generation.plan.Mask().Text(record.Target)
	return record
}

// isHit reports whether devproxy's cache answered, from its store or with the response
// to another client's request: its item is the last of Cache-Status (RFC 9211
// section 2).
func isHit(h http.Header) bool {
	lines := h["Cache-Status"]
	if len(lines) == 0 {
		return false
	}
	own, is := strings.CutPrefix(lines[len(lines)-1], "devproxy; ")
	return is && (strings.HasPrefix(own, "hit") || strings.HasSuffix(own, "; collapsed"))
}

// responseWriter records the response that is written through it.
// http.ResponseController reaches the writer below through Unwrap.
type responseWriter struct {
	http.ResponseWriter
	status int           // the final status; 0 while there is none
	fields []plan.Header // the header fields that the route sets and removes; applied last
	// advise looks at the header of an upstream's response and rewrites it; nil
	// leaves it unchanged.
	advise func(header http.Header, status int)
	// outward makes a header public, after all else; nil leaves it unchanged.
	outward func(header http.Header, status int)
	// trailers removes trailers that must not be sent; nil leaves them.
	trailers func(header http.Header)
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the final status. Informational ones (RFC 9110 section
// 15.2) pass, except 101, after which the connection is no longer HTTP.
func (w *responseWriter) WriteHeader(status int) {
	header, upgraded := w.Header(), status == http.StatusSwitchingProtocols
	if w.status == 0 && (status >= 200 || upgraded) {
		w.status = status
	}
	if status >= 200 {
		setHeaders(header, w.fields)
	}
	if w.advise != nil && !upgraded {
		w.advise(header, status)
	}
	if w.outward != nil {
		if status < 200 && !upgraded {
			// A field that is removed from this header may belong in the final
			// one.
			was := maps.Clone(header)
			defer func() {
				clear(header)
				maps.Copy(header, was)
			}()
		}
		w.outward(header, status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func setHeaders(to http.Header, fields []plan.Header) {
	for _, field := range fields {
		if field.Remove {
			to.Del(field.Name)
		} else {
			to.Set(field.Name, field.Value)
		}
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// end is called when nothing more is written.
func (w *responseWriter) end() {
	if w.trailers != nil {
		w.trailers(w.Header())
	}
}

const (
	// bodyLingerBytes and bodyLingerTime bound how much of a request's body is read
	// after it was answered without it; net/http's own bounds for HTTP/1.
	bodyLingerBytes = 256 << 10
	bodyLingerTime  = 500 * time.Millisecond
)

// linger reads the body of an HTTP/2 request that was answered without it. The
// data still in flight would otherwise reach a closed stream, and clients (curl
// is one) take the reset that follows for a failed response (RFC 9113 section
// 5.1). net/http does it for HTTP/1 only. A client that expects 100-continue
// sends no body, and a gRPC stream stays open.
func linger(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 || r.Body == nil || r.Body == http.NoBody || r.Header.Get("Expect") != "" || page.IsGRPC(r) {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLingerTime)) // as far as it can be set
	_, _ = io.CopyN(io.Discard, r.Body, bodyLingerBytes)                              // the response is complete
}
