package forward

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

// maxResends bounds how often one request is sent again after the connection
// was lost. An upstream that dies of this very request is restarted by its
// watcher each time; a few times it may be chance.
const maxResends = 4

// resendPause is how long the second resend waits, the third twice as long, and so
// on: a connection of its own was lost too, so the upstream is just going
// away, and its successor is not there yet.
const resendPause = 50 * time.Millisecond

// send asks the upstream until it answers, refuses for too long, or fails in
// a way that asking again would not mend.
func (f *forwarding) send() (*http.Response, error) {
	for {
		res, err := f.askMembers()
		if err == nil {
			return res, nil
		}
		if refused, ok := asRefused(err); ok {
			if err := f.hold(refused.Attempts); err != nil {
				return nil, err
			}
			continue
		}
		var lost *lostError
		if !errors.As(err, &lost) || !f.mayResend(lost) {
			return nil, err
		}
		f.lost = append(f.lost, f.member)
		if lost.lived > 0 && f.Report.Resent == maxResends-1 {
			// Only the last time: a server that restarts closes connections, too, and
			// is there for the next.
			f.doubt = max(doubtAfter(lost.lived), 5*acceptTime)
		}
		if f.Report.Resent > 0 && !lost.ejected {
			f.pause(resendPause << (f.Report.Resent - 1))
		}
		f.Report.Resent++
	}
}

// pause waits, or until the exchange ends.
func (f *forwarding) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.ctx.Done():
	}
}

// lostError is a connection that broke before the first byte of an answer, or on
// which bytes came that were left over from another.
type lostError struct {
	*UpstreamError
	unsent  bool          // before the first byte of the request, too
	stray   bool          // what came may belong to the answer before
	lived   time.Duration // of a new connection, from its dial on; 0 for others
	ejected bool          // given up, since its member turned ill
}

// Unwrap gives the error that the visitor is told.
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

// askMembers goes round the members until one can be connected to. When none
// can and one of them refused, the error holds all attempts that were refused:
// it may come back. Otherwise it is that of the last.
func (f *forwarding) askMembers() (*http.Response, error) {
	var refused []Attempt
	var last error
	for _, m := range f.upstream.roster.order(f) {
		res, err := f.ask(m)
		var failed *dialError
		if !errors.As(err, &failed) || f.ctx.Err() != nil {
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

// ask sends the request to m once.
func (f *forwarding) ask(m *member) (*http.Response, error) {
	f.occupy(m)
	f.member = m
	f.Report.Member, f.Report.Fallback = m.Text, m.standby
	if f.upgrade != "" && m.Scheme == plan.SchemeH2C {
		return nil, &UpstreamError{Member: m.Text, Err: http.ErrNotSupported, Reason: "speaks HTTP/2, which has no Upgrade",
			Hint: `write "http://" instead of "h2c://" for the path of the WebSocket`}
	}
	a := newAttempt(f, m)
	out, err := f.request(m, a)
	if err != nil {
		return nil, err
	}
	f.clock = startClock(f.route.Timeout, func() { f.cancel(errTimeout) })
	if f.body != nil {
		f.body.measure(f.clock)
	}
	res, err := f.carryWatched(m, a, out)
	f.clock.stop()
	if ejected := a.end(); ejected {
		return nil, f.ejection(m, res)
	}
	if err != nil {
		return nil, a.judge(m, err)
	}
	if errors.Is(context.Cause(f.ctx), errTimeout) { // in the moment in which it answered
		res.Body.Close()
		return nil, errTimeout
	}
	m.note(res)
	return res, nil
}

// carryWatched is carry with m's health in view.
func (f *forwarding) carryWatched(m *member, a *attempt, out *http.Request) (*http.Response, error) {
	if a.cancel == nil {
		return f.carry(m, a, out)
	}
	f.upstream.roster.await(m, a)
	defer f.upstream.roster.forget(m, a)
	return f.carry(m, a, out)
}

// ejection is the error of an attempt that was given up. An answer that came in
// that very moment comes too late.
func (f *forwarding) ejection(m *member, res *http.Response) error {
	if res != nil {
		res.Body.Close()
	}
	return &lostError{ejected: true, UpstreamError: &UpstreamError{Member: m.Text, Err: errEjected,
		Reason: "turned ill before it answered", Hint: "`devproxy status` says what its health check got"}}
}

// carry picks the transport.
func (f *forwarding) carry(m *member, a *attempt, out *http.Request) (*http.Response, error) {
	if own := m.logins.transport(f, m); own != nil {
		out.Close = own == http.RoundTripper(m.single)
		return own.RoundTrip(out)
	}
	switch {
	case f.upgrade != "":
		m.conns.makeRoom(&a.claim)
		return m.upgrades.RoundTrip(out)
	case m.speaksHTTP2(), m.Scheme == plan.SchemeHTTPS && isGRPC(f.r):
		// gRPC has no other protocol than HTTP/2: whether m speaks it need not
		// be known from an answer before.
		return m.pooled.RoundTrip(out)
	case f.alone():
		// Said here, net/http does not send a body that was expected and declined.
		out.Close = true
		m.conns.makeRoom(&a.claim)
		return m.single.RoundTrip(out)
	}
	return m.pooled.RoundTrip(out)
}

// alone reports whether the request needs a connection of its own: it cannot
// be sent again, may leave it in the middle, or has lost one already.
func (f *forwarding) alone() bool {
	return f.Report.Resent > 0 || !isIdempotent(f.r.Method) || f.r.Header["Expect"] != nil ||
		f.r.ContentLength < 0 || f.r.ContentLength > maxReplay
}

// request is what is sent to m.
func (f *forwarding) request(m *member, a *attempt) (*http.Request, error) {
	target := *f.target
	target.Scheme, target.Host = "http", urlHost(&m.Member)
	if m.Scheme == plan.SchemeHTTPS {
		target.Scheme = "https"
	}
	header, host := f.sentHeader(m)
	out := &http.Request{
		Method: f.r.Method, URL: &target, Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header,
	}
	out = out.WithContext(a.trace(a.abandonable()))
	if f.body == nil {
		return out, nil
	}
	body, err := f.body.open()
	if err != nil {
		return nil, err
	}
	a.setBody(body)
	out.Body, out.GetBody = body, f.body.open
	out.ContentLength, out.Trailer = f.r.ContentLength, f.trailer
	if f.r.ContentLength < 0 {
		// Said, net/http need not find out by waiting for the first byte.
		out.TransferEncoding = []string{"chunked"}
	}
	return out, nil
}

// sentHeader is RequestHeader and what only a running devproxy adds.
func (f *forwarding) sentHeader(m *member) (header http.Header, host string) {
	header, host = RequestHeader(f.r, f.Exchange, &m.Member)
	if id := f.upstream.opts.Instance; id != "" {
		// A visitor's values go no further: the app would take them for ours.
		if f.PublicHost == "" {
			header[field.Hop] = append(slices.Clip(f.hops(f.r)), id)
		} else {
			header[field.Hop] = []string{id}
		}
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = []string{""} // keeps net/http from adding its own
	}
	return header, host
}

// streamClosed reports that CloseStreams ended the exchange.
func (f *forwarding) streamClosed() bool { return errors.Is(context.Cause(f.ctx), errStreamClosed) }
