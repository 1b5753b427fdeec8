package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/page"
)

// visit is one request of a visitor.
type visit struct {
	tenure
	relay *Relay
	w     http.ResponseWriter
	r     *http.Request
	conn  *conn
	// addr is the visitor, and from what the relay knows of its network: those of
	// conn, but behind a trusted proxy.
	addr  netip.AddrPort
	from  *network
	at    authority
	start time.Time

	status    int
	in, out   int64 // bytes of the bodies
	unread    bool  // the visitor may still be sending
	fault     error // why the relay answered itself, or broke off
	agentLane bool  // an agent's WebSocket: nobody's visit
	forwarded bool  // a share has answered
}

// visit answers one request: it is the server's handler.
func (r *Relay) visit(w http.ResponseWriter, req *http.Request) {
	if !r.enter() {
		panic(http.ErrAbortHandler)
	}
	defer r.group.Done()
	v := &visit{relay: r, w: w, r: req, tenure: tenure{control: http.NewResponseController(w)}, conn: connOf(req.Context()), start: time.Now()}
	v.addr, v.from = r.visitorOf(v.conn, req.Header)
	v.begin()
	defer v.end()
	defer v.record() // also when the handler ends with http.ErrAbortHandler
	defer v.countWaste()
	if req.ProtoMajor == 1 {
		// The last bytes of a response are written after the handler has returned.
		defer func() { v.writeBy(r.stall()) }()
	}
	if r.leaving() {
		w.Header().Set("Connection", "close") // HTTP/2: GOAWAY (net/http)
	}
	if refused, ok := v.refuse(); ok {
		v.answer(refused)
		return
	}
	if v.at.name == r.opts.Domain {
		v.serveDomain()
		return
	}
	if err := req.Context().Err(); err != nil {
		v.failed(err) // given up before it began
	}
	if err := v.forward(); err != nil {
		v.failed(err)
	}
	v.forwarded = true
	v.linger()
}

// countWaste counts a request that was one too many, or that the visitor has
// given up. A network that has more than wasteBurst of them loses the connection:
// a flood of requests that are reset at once (CVE-2023-44487) ends there.
func (v *visit) countWaste() {
	gaveUp := v.r.Context().Err() != nil && (v.status == 0 || v.status == statusGone)
	if (gaveUp || v.status == http.StatusTooManyRequests) && !v.from.waste.Allow() {
		v.relay.metrics.limited.WithLabelValues("waste").Inc()
		if v.from == v.conn.from { // else a proxy's, which others use too
			v.conn.Close()
		}
	}
}

// refuse says what is wrong with a request before anybody is asked.
func (v *visit) refuse() (page.Page, bool) {
	if !v.from.requests.Allow() {
		v.relay.metrics.limited.WithLabelValues("requests").Inc()
		return page.Page{Status: http.StatusTooManyRequests, Public: true, Title: "Too many requests.", RetryAfter: 1}, true
	}
	if refusal, refused := message.Refused(v.w, v.r); refused {
		v.w.Header().Set("Connection", "close")
		return refusalPage(refusal), true
	}
	at, ok := readAuthority(v.r.Host, "https")
	v.at = at
	switch {
	case !ok:
		v.w.Header().Set("Connection", "close")
		return page.Page{Status: http.StatusBadRequest, Public: true, Title: "Not a valid host name."}, true
	case at.name != v.relay.opts.Domain && !below(at.name, v.relay.opts.Domain):
		return page.Page{Status: http.StatusMisdirectedRequest, Public: true, Title: "This name is not served here."}, true
	case !v.conn.covers(at.name):
		// A browser that took the connection for this name's opens another one
		// (RFC 9110 section 15.5.20).
		return page.Page{Status: http.StatusMisdirectedRequest, Public: true, Title: "This name needs a connection of its own."}, true
	}
	if most := v.relay.opts.Limits.BodyBytes; most > 0 {
		if v.r.ContentLength > most {
			return pageOf(&http.MaxBytesError{Limit: most}), true
		}
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	}
	return page.Page{}, false
}

// target returns the request target in origin-form, byte for byte as it came
// (RFC 9112 section 3.2.1).
func target(r *http.Request) string {
	raw := r.RequestURI
	if raw == "*" || strings.HasPrefix(raw, "/") {
		return raw
	}
	// Absolute-form: what follows the authority.
	_, rest, _ := strings.Cut(raw, "://")
	if at := strings.IndexAny(rest, "/?"); at >= 0 && rest[at] == '/' {
		return rest[at:]
	} else if at >= 0 {
		return "/" + rest[at:]
	}
	return "/"
}

// serveDomain answers on the relay's own name.
func (v *visit) serveDomain() {
	if v.r.URL.Path == agentPath {
		v.relay.agents.greetWebSocket(v)
		return
	}
	v.answer(page.Page{Status: http.StatusNotFound, Public: true, Title: "Nothing is shared here.",
		Lead: "This server carries links of `devproxy share`. Each has its own name below " + v.relay.opts.Domain + "."})
}

// answer sends a page of the relay's own.
func (v *visit) answer(p page.Page) {
	v.status = p.Status
	if v.r.ProtoMajor == 1 && v.r.ContentLength != 0 {
		// What still comes of the request must not be taken for the next one.
		v.w.Header().Set("Connection", "close")
	}
	_ = v.bounded(func() error {
		_ = p.Write(v.w, v.r) // a visitor that has left needs no page
		return nil
	})
}

// failed ends a visit that was not answered to its end.
func (v *visit) failed(err error) {
	v.fault = err
	switch {
	case v.status != 0:
		panic(http.ErrAbortHandler) // the visitor must not take it for complete
	case v.isEvicted():
		v.status, v.fault = http.StatusServiceUnavailable, errEvicted
		panic(http.ErrAbortHandler)
	case errors.Is(err, errBusy):
		// To end the reading of an upload that gave way has ended the context too.
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The visitor's body has stalled, which ended the context too.
	case errors.As(err, new(*malformedError)): // so has a malformed one
	case v.r.Context().Err() != nil || errors.Is(err, context.Canceled):
		v.status = statusGone
		panic(http.ErrAbortHandler)
	}
	v.relay.log.Debug("not forwarded", "host", masked(v.at.name), "error", err)
	v.answer(pageOf(err))
}

// statusGone is recorded for a visitor who left before the answer; nobody is
// sent it. nginx made the number known.
const statusGone = 499

// bounded has write written before the visitor counts as stalled. HTTP/2 ends
// a stream whose deadline passes while it rests, so there is none in between.
func (v *visit) bounded(write func() error) error {
	v.writeBy(v.relay.stall())
	defer v.writeBy(time.Time{})
	return write()
}

// stall is when what does not move from now on has stalled.
func (r *Relay) stall() time.Time { return time.Now().Add(r.opts.Limits.StallTimeout) }

func (v *visit) readBy(at time.Time) { _ = v.control.SetReadDeadline(at) }

// brokenError is an exchange that broke off on the agent's side.
type brokenError struct {
	err error
	// answered is that the response had begun.
	answered bool
	// lost is that the session ended before it had.
	lost bool
}

func (e *brokenError) Error() string {
	if e.answered {
		return fmt.Sprintf("the response broke off: %v", e.err)
	}
	return fmt.Sprintf("no response came: %v", e.err)
}

func (e *brokenError) Unwrap() error { return e.err }
