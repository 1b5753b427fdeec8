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

	"github.com/devproxy/devproxy/devproxy/plan"
)

// attempt is the request sent once: what the transport tells while it waits
// for the answer.
type attempt struct {
	f *forwarding

	mu       sync.Mutex
	ended    bool
	conn     net.Conn // in use
	before   int64    // bytes written on it before this request
	body     io.ReadCloser
	answered bool // the first byte of an answer has come
}

func newAttempt(f *forwarding) *attempt { return &attempt{f: f} }

func (a *attempt) trace(ctx context.Context) context.Context {
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
	c := watched(info.Conn)
	if c == nil || a.f.member.speaksHTTP2() {
		return // others use it too, and the transport closes the body by itself
	}
	a.before = c.written.Load()
	if body := a.body; body != nil {
		c.watch(func() { body.Close() })
	}
}

// unsentLocked reports that no byte of the request left this machine.
func (a *attempt) unsentLocked() bool {
	c := watched(a.conn)
	return c != nil && !a.f.member.speaksHTTP2() && c.written.Load() == a.before
}

func (a *attempt) gotFirstByte() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = true
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
func (a *attempt) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.conn == nil || a.body == nil {
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
		return &lostError{e, a.unsentLocked()}
	}
	return e
}
