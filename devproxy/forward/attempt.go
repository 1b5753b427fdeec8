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

	"github.com/devproxy/devproxy/devproxy/plan"
)

// attempt is the request sent once: what the transport tells while it waits
// for the answer.
type attempt struct {
	f *forwarding

	mu       sync.Mutex
	ended    bool
	conn     net.Conn // in use
	shared   bool     // conn carries other requests too
	before   int64    // bytes written on it before this request
	body     io.ReadCloser
	answered bool // the first byte of an answer has come
	ejected  bool // its member turned ill, and another is asked

	// cancel ends this attempt alone; nil when it must not be given up.
	cancel context.CancelFunc
}

func newAttempt(f *forwarding) *attempt { return &attempt{f: f} }

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
	ctx = context.WithValue(ctx, askedByKey{}, a.f.r.Context())
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              a.gotConn,
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
	a.shared = carriesMany(a.f.member, info.Conn)
	c := watched(info.Conn)
	if c == nil || a.shared {
		return // others use it too, and the transport closes the body by itself
	}
	a.before = c.written.Load()
	if a.f.client != nil {
		c.onAbandon(a.abandon)
	}
	if body := a.body; body != nil {
		c.watch(func() { body.Close() })
	}
}

// carriesMany reports whether a connection to m speaks HTTP/2.
func carriesMany(m *member, c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return m.Scheme == plan.SchemeH2C || ok && secure.ConnectionState().NegotiatedProtocol == "h2"
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
	if c := watched(a.conn); c != nil && !a.shared {
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
	if a.conn != nil && !a.answered {
		return &lostError{UpstreamError: e, unsent: a.unsentLocked()}
	}
	return e
}
