package forward

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/page"
)

// maxResends bounds how often one request is sent again after the connection was
// lost. An upstream that crashes because of this very request is restarted by its
// watcher each time; a few losses may be chance.
const maxResends = 4

// resendPause is how long the second resend waits, the third twice as long, and so
// on: a new connection was lost, too, so the upstream is going away and its
// successor is not there yet.
const resendPause = 50 * time.Millisecond

// send tries the upstream until it answers, refuses for too long, or fails in a way
// that another try would not fix.
func (f *forwarding) send() (*http.Response, error) {
	for {
		res, err := f.tryMembers()
		if err == nil {
			return res, nil
		}
		if refused, ok := asRefused(err); ok {
			if err := f.hold(refused.Attempts); err != nil {
				return nil, err
			}
			continue
		}
		lost, ok := errors.AsType[*lostError](err)
		if !ok || !f.mayResend(lost) {
			return nil, err
		}
		f.lost = append(f.lost, f.member)
		if lost.lived > 0 && f.Report.Resent == maxResends-1 {
			// Only the last time: a server that restarts closes connections, too, and
			// is there for the next.
			f.doubt = max(doubtAfter(lost.lived), 5*acceptTime)
		}
		if f.Report.Resent > 0 && !lost.ejected {
			pause(f.ctx, resendPause<<(f.Report.Resent-1))
		}
		f.Report.Resent++
	}
}

// pause waits for d. It returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// lostError is a connection that broke before the first byte of an answer, or on
// which bytes came that were left over from another.
type lostError struct {
	*UpstreamError
	unsent  bool          // before the first byte of the request, too
	stray   bool          // these bytes may belong to the previous response
	lived   time.Duration // of a new connection, from its dial on; 0 for others
	ejected bool          // the attempt was given up, since its member became unhealthy
}

// Unwrap returns the error that the client gets.
func (e *lostError) Unwrap() error { return e.UpstreamError }

func (f *forwarding) mayResend(lost *lostError) bool {
	repeatable := isIdempotent(f.r.Method) && f.upgrade == ""
	if lost.stray && !isSafe(f.r.Method) {
		return false // it may have been carried out
	}
	if !repeatable && !lost.unsent || f.Report.Resent >= maxResends {
		return false
	}
	if f.body == nil {
		return true
	}
	_, err := f.body.open()
	return err == nil
}

// tryMembers tries the members until one can be connected to. If none can and one
// of them refused, the error has all attempts that were refused: it may come back.
// Otherwise it is that of the last.
func (f *forwarding) tryMembers() (*http.Response, error) {
	var refused []Attempt
	var last error
	for _, m := range f.upstream.members.order(f) {
		res, err := f.try(m)
		if !is[*dialError](err) || f.ctx.Err() != nil {
			return res, err
		}
		if r, ok := asRefused(err); ok {
			refused = append(refused, r.Attempts...)
		}
		last = err
	}
	if refused != nil {
		return nil, &dialError{refused}
	}
	return nil, last
}

// occupy makes m the member that counts this exchange; nil is none.
func (f *forwarding) occupy(m *member) {
	if f.busy == m {
		return
	}
	if f.busy != nil {
		f.busy.active.Add(-1)
	}
	if f.busy = m; m != nil {
		m.active.Add(1)
	}
}

// try sends the request to m once.
func (f *forwarding) try(m *member) (*http.Response, error) {
	f.occupy(m)
	f.member = m
	f.Report.Member, f.Report.Fallback = m.Text, m.fallback
	if f.upgrade != "" && m.Scheme == plan.SchemeH2C {
		return nil, &UpstreamError{Member: m.Text, Err: http.ErrNotSupported, Reason: "uses HTTP/2, which has no Upgrade",
			Hint: `write "http://" instead of "h2c://" for the path of the WebSocket`}
	}
	a := &attempt{f: f, member: m, doubt: f.doubt}
	f.attempt = a
	out, err := f.request(m, a)
	if err != nil {
		return nil, err
	}
	f.clock = startClock(f.route.Timeout, func() { f.cancel(errTimeout) })
	if f.body != nil {
		f.body.measure(f.clock)
	}
	res, err := f.roundTrip(m, a, out)
	f.clock.stop()
	if ejected := a.end(); ejected {
		if res != nil { // it answered in that very moment
			res.Body.Close()
		}
		return nil, &lostError{ejected: true, UpstreamError: &UpstreamError{Member: m.Text, Err: errEjected,
			Reason: "became unhealthy before it answered", Hint: "`devproxy status` shows the result of its health check"}}
	}
	if err != nil {
		return nil, a.classify(m, err)
	}
	if errors.Is(context.Cause(f.ctx), errTimeout) { // in the moment in which it answered
		res.Body.Close()
		return nil, errTimeout
	}
	m.noteAnswer(res)
	return res, nil
}

// roundTrip sends out by the transport that its connection needs.
func (f *forwarding) roundTrip(m *member, a *attempt, out *http.Request) (*http.Response, error) {
	if a.cancel != nil {
		m.members.await(m, a)
		defer m.members.forget(m, a)
	}
	if own := m.logins.transport(f, m); own != nil {
		out.Close = own == http.RoundTripper(m.single)
		return own.RoundTrip(out)
	}
	switch {
	case f.upgrade != "":
		m.conns.makeRoom(&a.claim)
		return m.upgrades.RoundTrip(out)
	case m.speaksHTTP2(), m.Scheme == plan.SchemeHTTPS && page.IsGRPC(f.r):
		// gRPC always uses HTTP/2, even if m has not answered in it before.
		return m.pooled.RoundTrip(out)
	case f.needsOwnConnection():
		// Without Close, net/http would send a body that was expected and declined.
		out.Close = true
		m.conns.makeRoom(&a.claim)
		return m.single.RoundTrip(out)
	}
	return m.pooled.RoundTrip(out)
}

// needsOwnConnection reports whether the request cannot be sent again, may leave
// its connection in the middle, or has lost one already.
func (f *forwarding) needsOwnConnection() bool {
	return f.Report.Resent > 0 || !isIdempotent(f.r.Method) || f.r.Header["Expect"] != nil ||
		f.r.ContentLength < 0 || f.r.ContentLength > maxReplay
}

// request returns the request to send to m.
func (f *forwarding) request(m *member, a *attempt) (*http.Request, error) {
	target := *f.target
	target.Scheme, target.Host = m.urlScheme(), urlHost(&m.Member)
	header, host := f.sentHeader(m)
	out := &http.Request{
		Method: f.r.Method, URL: &target, Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header,
	}
	out = out.WithContext(a.trace(a.context()))
	if f.body == nil {
		return out, nil
	}
	body, err := f.body.open()
	if err != nil {
		return nil, err
	}
	a.body = body
	out.Body, out.GetBody = body, f.body.open
	out.ContentLength, out.Trailer = f.r.ContentLength, f.trailer
	if f.r.ContentLength < 0 {
		// Otherwise net/http would wait for the first byte to find that out.
		out.TransferEncoding = []string{"chunked"}
	}
	return out, nil
}

// sentHeader is RequestHeader and what only a running devproxy adds.
func (f *forwarding) sentHeader(m *member) (header http.Header, host string) {
	header, host = RequestHeader(f.r, f.Exchange, &m.Member)
	if id := f.upstream.opts.Instance; id != "" {
		hops := f.hops(f.r)
		if f.PublicHost != "" {
			hops = nil // the app would take a visitor's values for ours
		}
		header[field.Hop] = append(slices.Clip(hops), id)
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = []string{""} // keeps net/http from adding its own
	}
	return header, host
}

// urlScheme is the scheme of m in URLs.
func (m *member) urlScheme() string {
	if m.Scheme == plan.SchemeHTTPS {
		return "https"
	}
	return "http"
}
