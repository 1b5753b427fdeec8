package forward

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// maxIdle is how many unused connections a member keeps open. A cold load of
	// 1,000 modules uses a few hundred at most; net/http's 2 would close and open one
	// for nearly each.
	maxIdle = 256
	// idleTimeout is longer than the pause between two page loads. It costs a few
	// kilobytes per connection.
	idleTimeout = 60 * time.Second
	// handshakeTimeout bounds the TLS handshake with an upstream that accepted the
	// connection.
	handshakeTimeout = 10 * time.Second
	// continueTimeout is how long a request with "Expect: 100-continue" waits for the
	// 100 before it sends its body anyway (RFC 9110 section 10.1.1); curl's own.
	continueTimeout = time.Second
	// maxResponseHead bounds the head of an answer in bytes. It is far above what
	// frameworks send, even with large cookies and Server-Timing.
	maxResponseHead = 1 << 20
	// protocolHTTP2 is the ALPN name of HTTP/2 (RFC 9113 section 3.2).
	protocolHTTP2 = "h2"
)

// newPooled returns a transport whose requests share connections, in every protocol
// of m.
func newPooled(m *member, conns *connections) *http.Transport {
	t := newTransport(m, conns, true, false)
	switch m.Scheme {
	case plan.SchemeH2C:
		t.Protocols.SetHTTP1(false)
		t.Protocols.SetUnencryptedHTTP2(true)
	case plan.SchemeHTTPS:
		t.Protocols.SetHTTP2(true)
		t.TLSClientConfig.NextProtos = []string{protocolHTTP2, "http/1.1"}
	}
	return t
}

// newSingle returns a transport with a connection for each request. It uses HTTP/1.1
// whatever the scheme: upgrades need it.
func newSingle(m *member, upgrades bool) *http.Transport {
	t := newTransport(m, &m.conns, false, upgrades)
	t.DisableKeepAlives = true
	return t
}

// newTransport returns a transport for HTTP/1.1. shared means that requests use each
// other's connections, so that one may wait for another's.
func newTransport(m *member, conns *connections, shared, upgrades bool) *http.Transport {
	t := &http.Transport{
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
		// The client's own Accept-Encoding is sent, and the response is passed on.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		ctx, by, cancel := withAttempt(ctx)
		defer cancel()
		c, err := openConn(ctx, m, conns, shared, by)
		if err != nil {
			return nil, err
		}
		var conn net.Conn = c
		if m.Scheme == plan.SchemeHTTPS {
			if conn, err = handshake(ctx, c, t.TLSClientConfig); err != nil {
				return nil, err
			}
		}
		if carriesMany(m, conn) {
			conns.leave(c.dialling)
		} else {
			by.ready(c)
		}
		if upgrades {
			conn = &switchConn{aheadConn: aheadConn{Conn: conn}}
		}
		return conn, nil
	}
	if m.Scheme != plan.SchemeHTTPS {
		t.DialContext = dial
		return t
	}
	// net/http's own handshake would not end with the client's request, and would
	// not report when it has ended.
	t.DialTLSContext = dial
	t.TLSClientConfig = &tls.Config{
		ServerName: m.ServerName,
		// The Proxyfile says so, or it is a loopback upstream's own certificate.
		InsecureSkipVerify: m.SkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	return t
}

// openConn connects to m for the attempt by as soon as conns admits it. A nil attempt
// is a health check.
func openConn(ctx context.Context, m *member, conns *connections, shared bool, by *attempt) (*watchedConn, error) {
	d := &dialling{}
	if by != nil {
		var err error
		if d, err = conns.admit(ctx, &by.claim, shared); err != nil {
			return nil, err
		}
		by.beginDial()
	}
	began := time.Now()
	conn, err := m.connect(ctx)
	if err != nil {
		conns.leave(d)
		return nil, err
	}
	c := newWatchedConn(conn, conns, d, began)
	c.private = !shared
	if by != nil {
		by.gotDial(c)
	}
	return c, nil
}

func handshake(ctx context.Context, c *watchedConn, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return secure, nil
}

// carriesMany reports whether a connection to m uses HTTP/2.
func carriesMany(m *member, c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return m.Scheme == plan.SchemeH2C || ok && secure.ConnectionState().NegotiatedProtocol == protocolHTTP2
}

// attemptKey is the context key of the attempt for which a connection is dialled.
type attemptKey struct{}

// withAttempt returns the attempt for which a connection is dialled, nil if
// none, and a context that also ends with the client's request. net/http itself
// continues to dial for later requests: an upstream that accepts slowly would
// be dialled for every request that was ever cancelled.
func withAttempt(ctx context.Context) (context.Context, *attempt, context.CancelFunc) {
	by, _ := ctx.Value(attemptKey{}).(*attempt)
	ctx, cancel := context.WithCancel(ctx)
	if by == nil {
		return ctx, nil, cancel
	}
	stop := context.AfterFunc(by.f.r.Context(), cancel)
	return ctx, by, func() {
		stop()
		cancel()
	}
}
