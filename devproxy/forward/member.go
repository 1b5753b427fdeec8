package forward

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// member is one address of an upstream with its connections.
type member struct {
	plan.Member
	dialer   dialer
	observe  func([]Attempt) // the outcome of a dial; nil attempts: it answered
	pooled   *http.Transport
	single   *http.Transport // a connection for each request, HTTP/1.1 only
	queue    queue           // for pooled connections of HTTP/1.1
	answered atomic.Bool     // in HTTP/2, as ALPN chose
}

func newMember(spec plan.Member, dial dialFunc, observe func([]Attempt)) *member {
	m := &member{Member: spec, observe: observe, queue: newQueue()}
	m.dialer = dialer{dial: dial, network: spec.Network, addrs: spec.Addrs}
	m.pooled = newPooled(spec, m.connect)
	m.single = newSingle(spec, m.connect)
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
}

// connect dials m and tells the observer.
func (m *member) connect(ctx context.Context) (net.Conn, error) {
	conn, err := m.dialer.connect(ctx)
	if err != nil {
		if refused, ok := asRefused(err); ok {
			m.observe(refused.Attempts)
		}
		return nil, err
	}
	m.observe(nil)
	return conn, nil
}

// next is the members in the order in which this request asks them.
func (u *Upstream) next() []*member {
	if len(u.members) == 1 {
		return u.members
	}
	first := int((u.turn.Add(1) - 1) % uint64(len(u.members)))
	order := make([]*member, 0, len(u.members))
	return append(append(order, u.members[first:]...), u.members[:first]...)
}

// urlHost names a member in URLs, by which net/http tells hosts apart; it
// reaches the wire only where no Host is known.
func urlHost(m *plan.Member) string {
	if m.Network == "unix" {
		return "localhost"
	}
	return m.Addrs[0]
}
