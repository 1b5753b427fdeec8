package forward

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// Exchange is what Forward needs apart from the request itself.
type Exchange struct {
	// Match is the route of the request.
	Match plan.Match
	// Target is the path to send, percent-encoded: Match.Target of the request's
	// path. The query is the request's own.
	Target string
	// Scheme is the client's: "https" or "http". Route.ForwardedHTTP may tell the
	// upstream another.
	Scheme string
	// Visitor is the client's address; the zero value takes the request's RemoteAddr.
	// With PublicHost set the upstream gets Machine.Shown(Visitor).
	Visitor netip.Addr
	// Machine has this machine's addresses; nil reads them for this exchange.
	Machine *field.Machine
	// Hops are the instances of devproxy that a visitor's request has passed: a share
	// removes the field from the request. With PublicHost empty the request's own
	// field counts.
	Hops []string
	// Client identifies the client in Options.Clients: a comparable value, such as
	// the number of its connection. Nil is not counted.
	Client any
	// PublicHost is the authority that a visitor of a share requested. The request's
	// Host is the local name then. Empty means that they are the same.
	PublicHost string
	// Over ends the exchange's stream (an upgraded connection, an event stream) as
	// CloseStreams does, when it is done; nil means never.
	Over context.Context
	// Switched changes the header of a 101 before it is written; it may be nil. No
	// other response bypasses the response writer.
	Switched func(http.Header)
	// Messages returns the rules for the client's messages on a WebSocket, by the
	// subprotocol that the upstream accepted. Nil rules pass everything, and so does a
	// nil Messages. One goroutine at a time calls the rules, before Forward returns.
	Messages func(subprotocol string) *websocket.Rules
	// Inspect looks at an upstream's final response before any of it is written, and
	// may replace its body. With an error nothing of the response is written and
	// Forward returns the error. A read of the body that fails breaks the response
	// off. Nil passes every response.
	Inspect func(*http.Response) error
	// Report is filled during the exchange and complete when Forward returns; it may
	// be nil.
	Report *Report
}

// hops are the instances of devproxy that r has passed.
func (x *Exchange) hops(r *http.Request) []string {
	if x.PublicHost != "" {
		return x.Hops
	}
	return r.Header[field.Hop]
}

// Report describes an exchange.
type Report struct {
	// Member is the last member that was tried (":5173"); empty when none was.
	Member string
	// Fallback is true when that is a fallback member: no other accepted.
	Fallback bool
	// Status is the final status that was written: 101 for an upgrade, 0 when Forward
	// returned before it wrote one.
	Status int
	// BytesIn and BytesOut count the bodies towards the upstream and towards the
	// client; of an upgraded connection all bytes after the head.
	BytesIn, BytesOut int64
	// Upgrade is true when the connection was upgraded.
	Upgrade bool
	// Held is how long the request waited for an upstream that refused.
	Held time.Duration
	// Resent is how often the request was sent again.
	Resent int
}

// Forward sends r to the upstream and its response to w. It returns nil when the
// client was answered. Otherwise nothing was written to w, unless the error is
// ErrAborted. The package comment lists the errors.
func (u *Upstream) Forward(w http.ResponseWriter, r *http.Request, x Exchange) error {
	route := x.Match.Route
	if u.opts.Instance != "" && slices.Contains(x.hops(r), u.opts.Instance) {
		return &LoopError{u.text}
	}
	target, err := targetURL(r, x.Target)
	if err != nil {
		return err
	}
	var counted *client
	if u.opts.Clients != nil && x.Client != nil {
		if counted, err = u.opts.Clients.begin(r.Context(), x.Client); err != nil {
			return ErrClientGone
		}
		defer u.opts.Clients.end(counted)
	}
	if !u.life.begin() {
		return ErrRetired
	}
	defer u.life.end()

	if x.Report == nil {
		x.Report = &Report{}
	}
	f := &forwarding{
		Exchange: x, upstream: u, w: w, r: r, route: route, target: target, arrived: time.Now(),
		control: http.NewResponseController(w),
		upgrade: field.Upgrade(r),
		mark:    u.streams.mark(route.ID),
		client:  counted,
	}
	f.ctx, f.cancel = context.WithCancelCause(r.Context())
	defer f.cancel(nil)
	f.prepareBody()
	return f.run()
}

// forwarding is one exchange in progress.
type forwarding struct {
	Exchange
	upstream *Upstream
	w        http.ResponseWriter
	r        *http.Request
	route    *plan.Route
	control  *http.ResponseController
	client   *client // counts this exchange; may be nil

	arrived time.Time
	target  *url.URL
	upgrade string       // the protocols that the client offers
	body    *requestBody // nil without a body
	trailer http.Header  // of the request, filled when its body has come

	ctx    context.Context // of the request to the upstream
	cancel context.CancelCauseFunc
	clock  *clock
	mark   int // of the route's streams

	member    *member       // tried last
	attempt   *attempt      // the last
	busy      *member       // counts this exchange
	lost      []*member     // that lost it
	doubt     time.Duration // how long its next connection must stay open before it is used
	memory    *bodyMemory   // nil without a body
	waitUntil time.Time
}

var (
	errTimeout      = errors.New("the route's timeout has expired")
	errStreamClosed = errors.New("the route was removed")
)

// prepareBody gets the request's body ready.
func (f *forwarding) prepareBody() {
	if f.r.Body == nil || f.r.Body == http.NoBody || f.r.ContentLength == 0 {
		return
	}
	f.memory = newBodyMemory(f)
	f.trailer = http.Header{}
	for name := range f.r.Trailer {
		if field.Trailer(name) {
			f.trailer[name] = nil
		}
	}
	// An interrupted read of the client's body closes its connection after the answer.
	interrupt := func() bool { return f.control.SetReadDeadline(time.Unix(1, 0)) == nil }
	f.body = newRequestBody(touchingReader{f.r.Body, f.memory.account}, interrupt, func() {
		for name, values := range f.r.Trailer {
			if field.Trailer(name) {
				f.trailer[name] = values
			}
		}
	})
	// Otherwise net/http reads the rest of the body before it sends a head. HTTP/2
	// does not need this and returns an error.
	_ = f.control.EnableFullDuplex()
}

// lingerTime is how long net/http may look for the end of a request whose answer
// came before it, so that the client reads the answer instead of a reset (RFC 9112
// section 9.6).
const lingerTime = 500 * time.Millisecond

// finishBody leaves the unread rest of the body to net/http.
func (f *forwarding) finishBody() {
	if f.body == nil {
		return
	}
	f.Report.BytesIn = f.body.finish()
	f.memory.end()
	if f.bodyPending() {
		_ = f.control.SetReadDeadline(time.Now().Add(lingerTime)) // it may be unsupported
	}
}

// bodyPending reports whether some of the body has not come yet on an HTTP/1
// connection, where it must not be taken for the next request.
func (f *forwarding) bodyPending() bool {
	return f.body != nil && !f.body.complete() && f.r.ProtoMajor == 1
}

func (f *forwarding) run() error {
	defer f.occupy(nil)
	defer f.finishBody()
	res, err := f.send()
	if err != nil {
		return f.fail(err)
	}
	if f.body != nil {
		f.body.noMoreAttempts()
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return f.switchProtocols(res)
	}
	return f.respond(res)
}

// fail finds the cause of err: the client, the upstream or a timeout. Nothing has
// been written yet.
func (f *forwarding) fail(err error) error {
	f.awaitCaller()
	if errors.Is(context.Cause(f.ctx), ErrEvicted) {
		return ErrEvicted
	}
	gone := f.r.Context().Err() != nil
	if f.body != nil {
		broken := f.body.fault()
		if malformed := message.BodyFault(f.r, broken); malformed != nil && (gone || broken != nil) {
			broken, gone = malformed, false // the client is still there
		}
		if broken != nil {
			err = &BodyError{broken}
		}
	}
	if gone {
		return ErrClientGone
	}
	if f.bodyPending() {
		// In full duplex net/http would take the rest of the body for the next
		// request, and panic if it was not read (golang/go#68560).
		f.w.Header().Set("Connection", "close")
	}
	if lost, ok := errors.AsType[*lostError](err); ok {
		err = lost.UpstreamError
	}
	if errors.Is(context.Cause(f.ctx), errTimeout) {
		return &TimeoutError{f.member.Text, f.route.Timeout}
	}
	return err
}

// isIdempotent reports whether a request with this method may be sent twice
// (RFC 9110 section 9.2.2).
func isIdempotent(method string) bool {
	return isSafe(method) || method == http.MethodPut || method == http.MethodDelete
}

// isSafe reports whether this method changes nothing (RFC 9110 section 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
