package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/page"
)

// statusGone is recorded for a visitor that left before the response; it is never
// sent. nginx uses this number too.
const statusGone = 499

// visit is one request of a visitor.
type visit struct {
	accounting
	relay *Relay
	w     http.ResponseWriter
	r     *http.Request
	conn  *conn
	// addr is the visitor's address, and from its network. They are those of conn,
	// except behind a trusted proxy.
	addr  netip.AddrPort
	from  *network
	at    authority
	start time.Time

	status    int
	in, out   int64 // bytes of the bodies
	unread    bool  // the visitor may still be sending
	fault     error // why the relay answered itself, or the response broke off
	agentLane bool  // an agent's WebSocket, not a visit
	forwarded bool  // a share has answered, or will at another address
}

// visit answers one request. It is the handler of the relay's server.
func (r *Relay) visit(w http.ResponseWriter, req *http.Request) {
	if !r.enter() {
		panic(http.ErrAbortHandler)
	}
	defer r.group.Done()
	v := &visit{relay: r, w: w, r: req, accounting: accounting{control: http.NewResponseController(w)}, conn: connOf(req.Context()), start: time.Now()}
	v.addr, v.from = r.visitorOf(v.conn, req.Header)
	v.openAccount()
	defer v.closeAccount()
	defer v.record() // also when the handler ends with http.ErrAbortHandler
	defer v.countWasted()
	if req.ProtoMajor == 1 {
		// The last bytes of a response are written after the handler has returned.
		defer func() { v.setWriteDeadline(r.stallDeadline()) }()
	}
	if r.leaving() {
		w.Header().Set("Connection", "close") // HTTP/2: GOAWAY (net/http)
	}
	err := v.check()
	if text, asked := r.challengeText(req, v.at.name); asked {
		v.prove(text)
		return
	}
	if err != nil {
		v.answer(err)
		return
	}
	if r.visitorScheme(v.conn.addr.Addr(), req.Header) == "http" {
		v.status = http.StatusPermanentRedirect
		r.redirectTo(w, req, v.at)
		return
	}
	if v.at.name == r.opts.Domain {
		v.serveDomain()
		return
	}
	if err := req.Context().Err(); err != nil {
		v.fail(err) // cancelled before it began
	}
	if v.mayBeCallback() && v.serveCallback() {
		return
	}
	if err := v.forward(); err != nil {
		v.fail(err)
	}
	v.forwarded = true
	v.linger()
}

// countWasted counts a request that was one too many, or that the visitor has
// cancelled. A network with more than wasteBurst of them loses the connection: that
// ends a flood of requests that are reset at once (CVE-2023-44487).
func (v *visit) countWasted() {
	cancelled := v.r.Context().Err() != nil && (v.status == 0 || v.status == statusGone)
	if (cancelled || v.status == http.StatusTooManyRequests) && !v.from.waste.Allow() {
		v.relay.metrics.limited.WithLabelValues("waste").Inc()
		if v.from == v.conn.from { // otherwise a proxy's, which other visitors use too
			v.conn.Close()
		}
	}
}

// check returns the error of a request that must not be forwarded.
func (v *visit) check() error {
	if !v.from.requests.Allow() {
		v.relay.metrics.limited.WithLabelValues("requests").Inc()
		return errTooManyRequests
	}
	if refusal, refused := message.Refused(v.w, v.r); refused {
		v.w.Header().Set("Connection", "close")
		return refusal
	}
	at, ok := readAuthority(v.r.Host, "https")
	v.at = at
	switch {
	case !ok:
		v.w.Header().Set("Connection", "close")
		return errInvalidHost
	case !v.relay.mayHave(at.name):
		return errOtherHost
	case !v.conn.covers(at.name) && !v.relay.trusted.has(v.conn.addr.Addr()): // proxies keep connections for all names
		return errOtherConnection
	}
	if most := v.relay.opts.Limits.BodyBytes; most > 0 {
		if v.r.ContentLength > most {
			return &http.MaxBytesError{Limit: most}
		}
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, most)
	}
	return nil
}

// serveDomain answers on the relay's own name.
func (v *visit) serveDomain() {
	if v.r.URL.Path == agentPath {
		v.relay.agents.greetWebSocket(v)
		return
	}
	v.answer(&pageError{"nothing is shared here", page.Page{Status: http.StatusNotFound, Title: "Nothing is shared here.",
		Lead: "This server carries links of `devproxy share`. Each has its own name below " + v.relay.opts.Domain + "."}})
}

// prove answers an authority that was sent on from plain HTTP, as some proxies do. It
// does not mind a certificate for another name.
func (v *visit) prove(text string) {
	v.status = http.StatusOK
	_ = v.withWriteDeadline(func() error {
		n, err := io.WriteString(v.w, text)
		v.out += int64(n)
		return err
	}) // fails only when the authority has disconnected
}

// answer sends the page of err.
func (v *visit) answer(err error) {
	p := pageOf(err)
	v.status = p.Status
	if v.r.ProtoMajor == 1 && v.r.ContentLength != 0 {
		// The rest of the request must not be read as the next one.
		v.w.Header().Set("Connection", "close")
	}
	_ = v.withWriteDeadline(func() error { return p.Write(v.w, v.r) }) // fails only when the visitor has disconnected
}

// fail ends a visit whose response is missing or incomplete.
func (v *visit) fail(err error) {
	v.fault = err
	switch {
	case v.status != 0:
		panic(http.ErrAbortHandler) // the visitor must not take the response for complete
	case v.wasEvicted():
		v.status, v.fault = http.StatusServiceUnavailable, errEvicted
		panic(http.ErrAbortHandler)
	case errors.Is(err, errBusy), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, new(*malformedError)):
		// The upload was evicted, has stalled or is malformed. The end of its reading
		// has ended the context too, but the visitor is still connected.
	case v.r.Context().Err() != nil || errors.Is(err, context.Canceled):
		v.status = statusGone
		panic(http.ErrAbortHandler)
	}
	v.relay.log.Debug("not forwarded", "host", masked(v.at.name), "error", err)
	v.answer(err)
}

// withWriteDeadline calls write, which must end before the visitor counts as
// stalled. HTTP/2 ends a stream whose deadline passes while nothing is written, so
// the deadline is removed afterwards.
func (v *visit) withWriteDeadline(write func() error) error {
	v.setWriteDeadline(v.relay.stallDeadline())
	defer v.setWriteDeadline(time.Time{})
	return write()
}

// stallDeadline returns when a body that does not move from now on has stalled.
func (r *Relay) stallDeadline() time.Time { return time.Now().Add(r.opts.Limits.StallTimeout) }

func (v *visit) setReadDeadline(at time.Time) { _ = v.control.SetReadDeadline(at) }

// brokenError is an exchange that broke off on the agent's side.
type brokenError struct {
	err error
	// answered reports that the response had begun.
	answered bool
	// lost reports that the session ended before the response.
	lost bool
}

func (e *brokenError) Error() string {
	if e.answered {
		return fmt.Sprintf("the response broke off: %v", e.err)
	}
	return fmt.Sprintf("no response arrived: %v", e.err)
}

func (e *brokenError) Unwrap() error { return e.err }

// pageError is an error with the page that visitors get for it.
type pageError struct {
	text string
	page page.Page
}

func (e *pageError) Error() string { return e.text }

// Page implements page.Error.
func (e *pageError) Page() page.Page { return e.page }

// newPageError returns an error whose text is the page's title too.
func newPageError(status int, text string) *pageError {
	return &pageError{text, page.Page{Status: status, Title: page.Sentence(text)}}
}

// Why the relay refuses a request.
var (
	errTooManyRequests = &pageError{"too many requests", page.Page{Status: http.StatusTooManyRequests, Title: "Too many requests.", RetryAfter: 1}}
	errInvalidHost     = newPageError(http.StatusBadRequest, "not a valid host name")
	errOtherHost       = newPageError(http.StatusMisdirectedRequest, "this name is not served here")
	// errOtherConnection: a browser that used a connection for another name opens a
	// new one (RFC 9110 section 15.5.20).
	errOtherConnection = newPageError(http.StatusMisdirectedRequest, "this name needs its own connection")
	// errProxyWithoutTLS ends the redirects between the relay and a proxy that connects to it
	// without TLS for visitors that use TLS.
	errProxyWithoutTLS = &pageError{"the proxy in front of the relay connects without TLS", page.Page{
		Status: http.StatusMisdirectedRequest, Title: "The proxy in front of this relay doesn't use TLS.",
		Lead:  "You use HTTPS, but the proxy connects to the relay over plain HTTP. The relay's redirect to HTTPS would never end.",
		Hints: []string{"Yours? Have the proxy connect over HTTPS. In Cloudflare, that is the SSL/TLS mode Full (strict) instead of Flexible."}}}
	errOnlyAgents = newPageError(http.StatusBadRequest, "only agents connect here, over TLS 1.3")
)

// Page implements page.Error.
func (e *EndedError) Page() page.Page {
	return page.Page{Status: http.StatusGone, Title: "This link has ended.",
		Lead:  "It was open until " + e.At.UTC().Format("15:04 UTC, 2 January") + ". Ask the person who sent it for a new one.",
		Hints: []string{"Yours? Run `devproxy share` in the project for a new link."}}
}

// malformedError is a body with broken framing, from a visitor that is still
// connected (400).
type malformedError struct{ error }

// Page implements page.Error.
func (e *malformedError) Page() page.Page {
	return page.Page{Status: http.StatusBadRequest, Title: "The body of this request is malformed."}
}

// pageOf returns the page for a visitor whose request failed with err.
func pageOf(err error) page.Page {
	p, known := page.For(err)
	large, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case known:
	case tooLarge:
		p = page.Page{Status: http.StatusRequestEntityTooLarge, Title: "This upload is too large.",
			Lead: fmt.Sprintf("The relay takes at most %d bytes at once.", large.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		p = page.Page{Status: http.StatusRequestTimeout, Title: "The upload stalled."}
	default:
		p = page.Page{Status: http.StatusBadGateway, Title: "The connection to this share was lost.",
			Lead: "No response arrived. Try again.", RetryAfter: 1}
	}
	p.Public = true
	return p
}
