package forward

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// member is one address of an upstream with its connections.
type member struct {
	plan.Member
	id       string // in the cookie of balance
	standby  bool   // a fallback member
	dialer   dialer
	observe  func(m *member, failed []Attempt, refused bool) // the outcome of a dial; nil attempts: it answered
	pooled   *http.Transport
	single   *http.Transport // a connection for each request, HTTP/1.1 only
	upgrades *http.Transport // as single, for upgrades
	conns    connections     // of HTTP/1.1
	accepts  acceptance
	logins   logins
	answered atomic.Bool  // in HTTP/2, as ALPN chose
	active   atomic.Int64 // exchanges under way

	condition
}

func newMember(spec plan.Member, dial dialFunc, observe func(*member, []Attempt, bool)) *member {
	m := &member{Member: spec, observe: observe}
	m.dialer = dialer{dial: dial, network: spec.Network, addrs: spec.Addrs, within: spec.Within}
	m.pooled = newPooled(spec, m.connect, &m.conns)
	m.single = newSingle(spec, m.connect, &m.conns)
	m.upgrades = newUpgrading(spec, m.connect, &m.conns)
	return m
}

// speaksHTTP2 is true when the pool's connections carry many requests each and
// say which of them they did not read (RFC 9113 section 6.8).
func (m *member) speaksHTTP2() bool {
	return m.Scheme == plan.SchemeH2C || m.answered.Load()
}

func (m *member) note(res *http.Response) {
	if m.Scheme == plan.SchemeHTTPS {
		m.answered.Store(res.ProtoMajor == 2)
	}
}

func (m *member) closeIdle() {
	m.pooled.CloseIdleConnections()
	m.single.CloseIdleConnections()
	m.upgrades.CloseIdleConnections()
	m.logins.closeIdle()
}

// connect dials m and tells the observer, unless whoever asked has left.
func (m *member) connect(ctx context.Context) (net.Conn, error) {
	conn, err := m.dialer.connect(ctx)
	if err == nil {
		asker, _ := ctx.Value(askedByKey{}).(*attempt)
		if conn, err = m.accepts.confirm(ctx, conn, asker); err == nil {
			m.observe(m, nil, false)
			return conn, nil
		}
		err = &dialError{[]Attempt{{m.dialer.answered(), err}}}
	}
	var failed *dialError
	if _, refused := asRefused(err); errors.As(err, &failed) && (refused || ctx.Err() == nil) {
		m.accepts.noteRefusal()
		m.conns.forgetMost()
		m.observe(m, failed.Attempts, refused)
	}
	return nil, err
}

// urlHost names a member in URLs, by which net/http tells hosts apart; it
// reaches the wire only where no Host is known.
func urlHost(m *plan.Member) string {
	if m.Network == "unix" {
		return "localhost"
	}
	return m.Addrs[0]
}
