package forward

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

const (
	// maxIdle is how many connections to a member are kept for the next
	// requests: a browser asks for a thousand modules at once over HTTP/2.
	// net/http's own two make it dial for nearly each of them.
	maxIdle = 1024
	// idleTimeout closes what a burst left behind. Node closes after 5 s by
	// itself, most others within 75.
	idleTimeout = 60 * time.Second
	// continueTimeout is how long an upstream may take to say 100 before the
	// body is sent anyway (RFC 9110 section 10.1.1).
	continueTimeout = time.Second
	// maxResponseHead bounds an upstream's header.
	maxResponseHead = 1 << 20
)

// member is the running side of a plan.Member.
type member struct {
	spec   *plan.Member
	dialer *dialer
	// pooled keeps connections for the next request; fresh uses each once. Both
	// are http.Transports today: this is the seam for a faster one.
	pooled, fresh http.RoundTripper
	// http2 is set once the member has answered with HTTP/2.
	http2 atomic.Bool
}

func newMember(spec *plan.Member, dial DialFunc, outcome func(*plan.Member, error)) *member {
	d := &dialer{network: spec.Network, addrs: spec.Addrs, dial: dial}
	d.done = func(err error) { outcome(spec, err) }
	pooled := newTransport(spec, d)
	switch spec.Scheme {
	case hcl.SchemeH2C:
		pooled.Protocols.SetUnencryptedHTTP2(true)
	case hcl.SchemeHTTPS:
		pooled.Protocols.SetHTTP1(true)
		pooled.Protocols.SetHTTP2(true)
	default:
		pooled.Protocols.SetHTTP1(true)
	}
	fresh := newTransport(spec, d)
	fresh.Protocols.SetHTTP1(true)
	fresh.MaxIdleConnsPerHost = -1
	return &member{spec: spec, dialer: d, pooled: pooled, fresh: fresh}
}

func newTransport(spec *plan.Member, d *dialer) *http.Transport {
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return d.connect(ctx) },
		TLSClientConfig:        &tls.Config{ServerName: spec.ServerName, InsecureSkipVerify: spec.SkipVerify},
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
		Protocols:              new(http.Protocols),
	}
}

// roundTripper is the transport for out. A method that may not be sent twice
// gets a connection of its own: on a kept one, the upstream may be closing it
// at this very moment (Node does after 5 s), and nobody could tell whether the
// request was carried out. HTTP/2 says so itself (RFC 9113 section 6.8).
// Upgrades take the connection with them.
func (m *member) roundTripper(out *http.Request, upgrade bool) http.RoundTripper {
	if upgrade {
		return m.fresh
	}
	multiplexed := m.spec.Scheme == hcl.SchemeH2C || m.http2.Load()
	if multiplexed || isIdempotent(out.Method) {
		return m.pooled
	}
	if m.spec.Scheme == hcl.SchemeHTTPS {
		return m.pooled // which protocol it speaks is not known before the handshake
	}
	return m.fresh
}

// isIdempotent: RFC 9110 section 9.2.2.
func isIdempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

func (m *member) closeIdle() {
	for _, t := range []http.RoundTripper{m.pooled, m.fresh} {
		if t, ok := t.(interface{ CloseIdleConnections() }); ok {
			t.CloseIdleConnections()
		}
	}
}

// scheme is the URL scheme that makes a transport speak as the member does.
func (m *member) scheme() string {
	if m.spec.Scheme == hcl.SchemeHTTPS {
		return "https"
	}
	return "http"
}
