package forward

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// attempt is one attempt to send the request. It collects what the transport
// reports while it waits for the response.
type attempt struct {
	f      *forwarding
	member *member
	doubt  time.Duration // of the exchange when the attempt began; a dial may outlive it
	body   io.ReadCloser // nil without a body

	mu       sync.Mutex
	ended    bool
	conn     net.Conn     // in use
	shared   bool         // conn carries other requests too
	before   int64        // bytes written on it before this request
	dialled  *watchedConn // for this attempt, which may get another
	spare    *watchedConn // dialled, once it may carry a request over HTTP/1.1
	claim    claim
	reused   bool // conn has carried an answer before
	informed bool // a 1xx was passed on
	answered bool // the first byte of an answer has come
	ejected  bool // its member became unhealthy, and another is tried

	// cancel ends this attempt alone; nil when it must not be given up.
	cancel context.CancelFunc
}

// errEjected is the reason why an attempt was given up.
var errEjected = errors.New("its health check failed")

// context is the exchange's, with its own cancel if a health check may end this
// attempt. It ends with the exchange, since the answer's body is read under it.
func (a *attempt) context() context.Context {
	f := a.f
	if f.upstream.checks.rule == nil || !isIdempotent(f.r.Method) || f.upgrade != "" || f.Report.Resent >= maxResends {
		return f.ctx
	}
	ctx, cancel := context.WithCancel(f.ctx)
	a.cancel = cancel
	return ctx
}

// eject gives the attempt up, unless an answer has begun or the body cannot be sent
// again.
func (a *attempt) eject() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.answered || a.ejected {
		return false
	}
	if body, ok := a.body.(*bodyReader); ok && !body.closeToReplay() {
		return false
	}
	a.ejected = true
	a.cancel()
	return true
}

func (a *attempt) trace(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, attemptKey{}, a)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              a.gotConn,
		PutIdleConn:          a.putIdleConn,
		GotFirstResponseByte: a.gotFirstByte,
		Got1xxResponse:       a.gotInformational,
	})
}

// gotConn ends the reading of the body when the connection ends.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = info.Conn
	a.shared = carriesMany(a.member, info.Conn)
	c := watched(info.Conn)
	if c == nil || a.shared {
		a.member.conns.end(&a.claim)
		if c != nil {
			a.member.conns.leave(c.dialling)
		}
		return // others use it too, and the transport closes the body itself
	}
	a.reused = a.member.conns.take(c, a)
	a.putSpareLocked()
	a.before = c.written.Load()
	if a.f.client != nil {
		c.onAbandon(a.abandon)
	}
	if body := a.body; body != nil {
		c.watch(func() { body.Close() })
	}
}

// beginDial is called before a connection is dialled for this attempt. A server with one
// thread may accept it, or start the TLS handshake, only when another connection is
// closed, so the attempt waits from now on.
func (a *attempt) beginDial() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended && a.conn == nil {
		a.member.conns.begin(&a.claim)
	}
}

// gotDial is called with the connection that was dialled for this attempt, before the
// TLS handshake.
func (a *attempt) gotDial(c *watchedConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dialled = c
}

// ready is called when c, which was dialled for this attempt, may carry a request
// over HTTP/1.1. It does nothing for a nil attempt.
func (a *attempt) ready(c *watchedConn) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spare = c
	if a.ended || a.conn != nil {
		a.putSpareLocked()
	}
}

// putSpareLocked lists the connection that was dialled for this attempt as spare
// if the attempt does not use it: a server with one thread waits for a request on
// it.
func (a *attempt) putSpareLocked() {
	if c := a.spare; c != nil && c != watched(a.conn) {
		a.member.conns.put(c, nil)
	}
}

// putIdleConn is called when the connection may serve the next request.
func (a *attempt) putIdleConn(err error) {
	a.mu.Lock()
	c, shared := watched(a.conn), a.shared
	a.mu.Unlock()
	if err == nil && c != nil && !shared {
		a.member.conns.put(c, a)
	}
}

// livedLocked is how long the connection was open; 0 when it was not new, or is
// still open.
func (a *attempt) livedLocked() time.Duration {
	c := watched(a.conn)
	if c == nil || a.reused {
		return 0
	}
	return max(time.Since(c.connected), 1)
}

// unsentLocked reports whether no byte of the request has left this machine.
func (a *attempt) unsentLocked() bool {
	c := watched(a.conn)
	return c != nil && !a.shared && c.written.Load() == a.before
}

func (a *attempt) gotFirstByte() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = true
	a.member.accepts.noteAnswer()
	if c := watched(a.conn); c != nil && !a.shared {
		a.member.conns.answered(&a.claim)
		c.onAbandon(nil)
	}
}

// beginStream notes that the answer is an upgrade or an event stream, which can last
// for ever.
func (a *attempt) beginStream() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := watched(a.conn); c != nil && !a.shared {
		a.member.conns.beginStream(c)
	}
}

// abandon leaves c, which is about to be closed, to Clients, if the client has left
// before the upstream began to answer. The upstream sees the end of what is sent, as
// it would see the close. Whether it has some of the request does not matter: a write
// may be in progress.
func (a *attempt) abandon(c *watchedConn) bool {
	if a.f.r.Context().Err() == nil || c.CloseWrite() != nil {
		return false
	}
	a.f.upstream.opts.Clients.abandon(a.f.client, c.Conn, c.stopReading())
	return true
}

// gotInformational passes a 1xx on (RFC 9110 section 15.2). It leaves 100 to
// net/http, which sends it when the body is read for the upstream.
func (a *attempt) gotInformational(code int, header textproto.MIMEHeader) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || code == http.StatusContinue || !a.f.r.ProtoAtLeast(1, 1) {
		return nil
	}
	a.informed = true
	own := a.f.w.Header()
	saved := maps.Clone(own)
	clear(own)
	responseHeader(own, http.Header(header), &plan.Route{})
	delete(own, "Content-Type")
	a.f.w.WriteHeader(code)
	clear(own)
	maps.Copy(own, saved)
	return nil
}

// end is called when the transport has returned. Anything it reports later is
// too late for the client. It reports whether the attempt was given up.
func (a *attempt) end() (ejected bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.member.conns.end(&a.claim)
	a.putSpareLocked()
	if c := watched(a.conn); c != nil && a.body != nil && !a.shared {
		c.watch(nil)
	}
	return a.ejected
}

// classify maps an error of the transport to one that says whether the request may
// be sent again.
func (a *attempt) classify(m *member, err error) error {
	if _, ok := asRefused(err); ok {
		return err
	}
	if errors.Is(err, errBodyClosed) {
		err = io.ErrUnexpectedEOF // the connection ended first
	}
	e := describe(m, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case errors.Is(err, errUnneeded): // net/http gave the other connection to another request
		return &lostError{UpstreamError: e, unsent: true}
	case a.conn == nil && a.dialled != nil && hungUp(err):
		return &lostError{UpstreamError: e, unsent: true, lived: time.Since(a.dialled.connected)} // in the TLS handshake
	case a.conn == nil:
		return e
	case !a.answered:
		return &lostError{UpstreamError: e, unsent: a.unsentLocked(), lived: a.livedLocked()}
	case a.reused && !a.shared && !a.informed && a.f.ctx.Err() == nil:
		// The head was malformed or broke off. Excess bytes of the answer before come
		// first on this connection.
		return &lostError{UpstreamError: e, stray: true}
	}
	return e
}
