package forward

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/message"
)

// Forward carries r to the upstream and its answer to w. It returns nil when
// the visitor was answered, or handed over to the upstream and done with it.
// Otherwise nothing was written to w, unless the error is ErrAborted; the
// package's comment lists the errors.
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
			return ErrVisitorGone
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
	var cancel context.CancelCauseFunc
	f.ctx, cancel = context.WithCancelCause(r.Context())
	f.cancel = cancel
	defer cancel(nil)
	f.prepare()
	return f.run()
}

// forwarding is one exchange under way.
type forwarding struct {
	Exchange
	upstream *Upstream
	w        http.ResponseWriter
	r        *http.Request
	route    *plan.Route
	control  *http.ResponseController
	client   *client // counts this exchange; nil when nobody does

	arrived time.Time
	target  *url.URL
	upgrade string // the protocol asked for
	body    *requestBody
	trailer http.Header // of the request, filled when its body has come

	ctx    context.Context // of what is asked of the upstream
	cancel context.CancelCauseFunc
	clock  *clock
	mark   int // of the route's streams

	member    *member       // asked last
	busy      *member       // counts this exchange
	lost      []*member     // that lost it
	doubt     time.Duration // how long its next connection must stay open before it is used
	holding   *holding      // what its body makes us hold; nil without a body
	waitUntil time.Time
}

var (
	errTimeout      = errors.New("the route's timeout is over")
	errStreamClosed = errors.New("the route is gone")
)

// prepare readies the request's body.
func (f *forwarding) prepare() {
	if f.r.Body == nil || f.r.Body == http.NoBody || f.r.ContentLength == 0 {
		return
	}
	f.holding = hold(f)
	f.trailer = http.Header{}
	for name := range f.r.Trailer {
		if field.Trailer(name) {
			f.trailer[name] = nil
		}
	}
	f.body = newRequestBody(touching{f.r.Body, f.holding.account}, f.interruptBody, func() {
		for name, values := range f.r.Trailer {
			if field.Trailer(name) {
				f.trailer[name] = values
			}
		}
	})
	// Otherwise net/http reads the rest of the body before it sends a head.
	// HTTP/2 has no need of it and says so with an error.
	_ = f.control.EnableFullDuplex()
}

// lingerTime is how long net/http may look for the end of a request whose
// answer came before it, so that the visitor reads the answer instead of a
// reset (RFC 9112 section 9.6).
const lingerTime = 500 * time.Millisecond

// interruptBody ends a read of the visitor's body. Its connection is closed
// after the answer.
func (f *forwarding) interruptBody() bool {
	return f.control.SetReadDeadline(time.Unix(1, 0)) == nil
}

// finishBody gives what is left of the body back to net/http.
func (f *forwarding) finishBody() {
	if f.body == nil {
		return
	}
	f.Report.BytesIn = f.body.finish()
	f.holding.end()
	if !f.body.complete() && f.r.ProtoMajor == 1 {
		_ = f.control.SetReadDeadline(time.Now().Add(lingerTime)) // as far as it can be set
	}
}

func (f *forwarding) run() error {
	defer f.occupy(nil)
	defer f.finishBody()
	res, err := f.send()
	if err != nil {
		return f.fail(err)
	}
	if f.body != nil {
		f.body.settle()
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return f.switchProtocols(res)
	}
	return f.respond(res)
}

// fail decides who is to blame. Nothing has been written yet.
func (f *forwarding) fail(err error) error {
	f.awaitCaller()
	if errors.Is(context.Cause(f.ctx), ErrEvicted) {
		return ErrEvicted
	}
	gone := f.r.Context().Err() != nil
	if f.body != nil {
		broken := f.body.fault()
		if malformed := message.BodyFault(f.r, broken); malformed != nil && (gone || broken != nil) {
			broken, gone = malformed, false // the visitor is still there
		}
		if broken != nil {
			err = &BodyError{broken}
		}
	}
	if gone {
		return ErrVisitorGone
	}
	if f.body != nil {
		if !f.body.complete() && f.r.ProtoMajor == 1 {
			// In full duplex net/http would take the rest of the body for the next
			// request, and panic over one that nobody read (golang/go#68560).
			f.w.Header().Set("Connection", "close")
		}
	}
	var lost *lostError
	if errors.As(err, &lost) {
		err = lost.UpstreamError
	}
	if errors.Is(context.Cause(f.ctx), errTimeout) {
		return &TimeoutError{f.member.Text, f.route.Timeout}
	}
	return err
}

// isIdempotent lists the methods that may be sent twice (RFC 9110 section
// 9.2.2).
func isIdempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// isSafe lists the methods that change nothing (RFC 9110 section 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
