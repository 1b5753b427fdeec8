package forward

import (
	"context"
	"crypto/tls"
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

// attempt is the request sent once: what the transport tells while it waits
// for the answer.
type attempt struct {
	f      *forwarding
	member *member
	doubt  time.Duration // of the exchange when the attempt began: a dial may outlive it

	mu       sync.Mutex
	ended    bool
	conn     net.Conn     // in use
	shared   bool         // conn carries other requests too
	before   int64        // bytes written on it before this request
	dialled  *watchedConn // for this attempt, which may get another
	spare    *watchedConn // dialled, when it may carry a request over HTTP/1.1
	claim    claim
	body     io.ReadCloser
	reused   bool // conn has carried an answer before
	informed bool // a 1xx was passed on
	answered bool // the first byte of an answer has come
	ejected  bool // its member turned ill, and another is asked

	// cancel ends this attempt alone; nil when it must not be given up.
	cancel context.CancelFunc
}

func newAttempt(f *forwarding, m *member) *attempt {
	return &attempt{f: f, member: m, doubt: f.doubt}
}

// errEjected is why an attempt was given up.
var errEjected = errors.New("its health check failed")

// abandonable is the context of an attempt that may be given up, when somebody
// could say so. It ends with the exchange: the answer's body is read under it.
func (a *attempt) abandonable() context.Context {
	f := a.f
	if f.upstream.checks.rule == nil || !isIdempotent(f.r.Method) || f.upgrade != "" || f.Report.Resent >= maxResends {
		return f.ctx
	}
	ctx, cancel := context.WithCancel(f.ctx)
	a.cancel = cancel
	return ctx
}

// eject gives the attempt up, unless an answer has begun or the body cannot be
// sent again.
func (a *attempt) eject() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.answered || a.ejected {
		return false
	}
	if body, ok := a.body.(*bodyReader); ok && !body.closeForReplay() {
		return false
	}
	a.ejected = true
	a.cancel()
	return true
}

func (a *attempt) trace(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, askedByKey{}, a)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              a.gotConn,
		PutIdleConn:          a.putIdleConn,
		GotFirstResponseByte: a.gotFirstByte,
		Got1xxResponse:       a.gotInformational,
	})
}

func (a *attempt) setBody(body io.ReadCloser) { a.body = body }

// gotConn makes the end of the connection the end of reading the body.
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
		return // others use it too, and the transport closes the body by itself
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

// gotDial is called with the connection that was dialled for this attempt, before
// the TLS handshake. A server with one thread may begin that handshake only when
// another connection is closed, so the attempt waits from now on.
func (a *attempt) gotDial(c *watchedConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dialled = c
	if !a.ended && a.conn == nil && a.member.Scheme == plan.SchemeHTTPS {
		a.member.conns.begin(&a.claim)
	}
}

// ready is called when c, which was dialled for this attempt, may carry a request
// over HTTP/1.1. A nil attempt does nothing.
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

// putSpareLocked lists the connection that was dialled for this attempt as
// idle when the attempt does not use it: a server with one thread waits for a
// request on it.
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

// carriesMany reports whether a connection to m speaks HTTP/2.
func carriesMany(m *member, c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return m.Scheme == plan.SchemeH2C || ok && secure.ConnectionState().NegotiatedProtocol == protocolHTTP2
}

// livedLocked is for how long the connection was open; 0 when it was not new, or
// is still open.
func (a *attempt) livedLocked() time.Duration {
	c := watched(a.conn)
	if c == nil || a.reused {
		return 0
	}
	return max(time.Since(c.connected), 1)
}

// hungUp reports that the other side closed or cut a connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err)
}

// unsentLocked reports that no byte of the request left this machine.
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

// abandon leaves c, which is about to be closed, to Clients, if the client has
// left. It is asked before the upstream has begun to answer only. By the end of what is sent the upstream
// learns of that as it would by the close. Whether it has some of the request is
// not asked: a write may be under way.
func (a *attempt) abandon(c *watchedConn) bool {
	if a.f.r.Context().Err() == nil || c.CloseWrite() != nil {
		return false
	}
	a.f.upstream.opts.Clients.abandon(a.f.client, c.Conn, c.stopReading())
	return true
}

// gotInformational passes a 1xx on (RFC 9110 section 15.2). 100 is left to
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

// end is called when the transport has returned: what it still says comes too
// late for the visitor.
// It reports whether the attempt was given up.
func (a *attempt) end() (ejected bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	a.member.conns.end(&a.claim)
	a.putSpareLocked()
	a.unwatchLocked()
	return a.ejected
}

func (a *attempt) unwatchLocked() {
	if a.conn == nil || a.body == nil || a.shared {
		return
	}
	if c := watched(a.conn); c != nil {
		c.watch(nil)
	}
}

// judge tells errors of the transport apart.
func (a *attempt) judge(m *member, err error) error {
	if _, ok := asRefused(err); ok {
		return err
	}
	if errors.Is(err, errBodyClosed) {
		err = io.ErrUnexpectedEOF // the connection ended first
	}
	e := fault(m, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case errors.Is(err, errUnneeded): // net/http gave the other connection to somebody else
		return &lostError{UpstreamError: e, unsent: true}
	case a.conn == nil && a.dialled != nil && hungUp(err):
		return &lostError{UpstreamError: e, unsent: true, lived: time.Since(a.dialled.connected)} // in the TLS handshake
	case a.conn == nil:
		return e
	case !a.answered:
		return &lostError{UpstreamError: e, unsent: a.unsentLocked(), lived: a.livedLocked()}
	case a.reused && !a.shared && !a.informed && a.f.ctx.Err() == nil:
		// The head was malformed or broke off. Whatever the answer before had in
		// excess comes first on its connection.
		return &lostError{UpstreamError: e, stray: true}
	}
	return e
}
