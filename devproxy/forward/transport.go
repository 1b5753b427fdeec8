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
	// maxIdle is how many connections a member keeps open unused. A cold load
	// of 1,000 modules runs over a few hundred at most; net/http's 2 would
	// close and open one for nearly each.
	maxIdle = 256
	// idleTimeout outlives the pause between two page loads. It costs a few
	// kilobytes a connection.
	idleTimeout = 60 * time.Second
	// handshakeTimeout bounds the TLS handshake with an upstream that accepted
	// the connection.
	handshakeTimeout = 10 * time.Second
	// continueTimeout is how long a request with "Expect: 100-continue" waits
	// for the word before it sends its body all the same (RFC 9110 section
	// 10.1.1); curl's own.
	continueTimeout = time.Second
	// maxResponseHead bounds the head of an answer in bytes. It is far above
	// what frameworks send, also with large cookies and Server-Timing.
	maxResponseHead = 1 << 20
	// protocolHTTP2 is what ALPN calls HTTP/2 (RFC 9113 section 3.2).
	protocolHTTP2 = "h2"
)

// connectFunc opens a connection to a member.
type connectFunc func(ctx context.Context) (net.Conn, error)

// newPooled and newSingle are the seam behind which requests are carried: all
// that the rest of the package asks of them is http.RoundTripper.
func newPooled(m plan.Member, connect connectFunc, conns *connections) *http.Transport {
	t := newTransport(m, connect, conns, true)
	switch m.Scheme {
	case plan.SchemeH2C:
		t.Protocols.SetUnencryptedHTTP2(true)
	case plan.SchemeHTTPS:
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
		t.TLSClientConfig.NextProtos = []string{protocolHTTP2, "http/1.1"}
	default:
		t.Protocols.SetHTTP1(true)
	}
	return t
}

// newSingle speaks HTTP/1.1 whatever the scheme: upgrades need it.
func newSingle(m plan.Member, connect connectFunc, conns *connections) *http.Transport {
	t := newTransport(m, connect, conns, false)
	t.Protocols.SetHTTP1(true)
	t.DisableKeepAlives = true
	return t
}

// newPrivate speaks HTTP/1.1, too, and keeps its connections.
func newPrivate(m plan.Member, connect connectFunc, conns *connections) *http.Transport {
	t := newSingle(m, connect, conns)
	t.DisableKeepAlives = false
	return t
}

// newUpgrading is newSingle for upgrades: see switchConn.
func newUpgrading(m plan.Member, connect connectFunc, conns *connections) *http.Transport {
	t := newSingle(m, connect, conns)
	t.DialContext = switching(t.DialContext)
	if t.DialTLSContext != nil {
		t.DialTLSContext = switching(t.DialTLSContext)
	}
	return t
}

func switching(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &switchConn{Conn: c}, nil
	}
}

// newTransport makes a transport without a protocol. shared says that requests use
// each other's connections, so that one may wait for another's.
func newTransport(m plan.Member, connect connectFunc, conns *connections, shared bool) *http.Transport {
	open := func(ctx context.Context, asker *attempt) (*watchedConn, error) {
		d := &dialling{}
		if asker != nil {
			var err error
			if d, err = conns.admit(ctx, &asker.claim, shared); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		conn, err := connect(ctx)
		if err != nil {
			conns.leave(d)
			return nil, err
		}
		c := newWatchedConn(conn, conns, d, began)
		c.private = !shared
		if asker != nil {
			asker.gotDial(c)
		}
		return c, nil
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, asker, cancel := withAsker(ctx)
			defer cancel()
			c, err := open(ctx, asker)
			if err != nil {
				return nil, err
			}
			if m.Scheme == plan.SchemeHTTP {
				asker.ready(c)
			}
			return c, nil
		},
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
		// What the visitor accepts is asked for, and what comes is passed on.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	if m.Scheme != plan.SchemeHTTPS {
		return t
	}
	t.TLSClientConfig = &tls.Config{
		ServerName: m.ServerName,
		// The Proxyfile's word, or a loopback upstream's own certificate.
		InsecureSkipVerify: m.SkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	// net/http's own handshake would not end with the visitor's request, and would
	// not say when it is over.
	t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		ctx, asker, cancel := withAsker(ctx)
		defer cancel()
		c, err := open(ctx, asker)
		if err != nil {
			return nil, err
		}
		ctx, cancelHandshake := context.WithTimeout(ctx, handshakeTimeout)
		defer cancelHandshake()
		secure := tls.Client(c, t.TLSClientConfig)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return nil, err
		}
		if secure.ConnectionState().NegotiatedProtocol == protocolHTTP2 {
			conns.leave(c.dialling)
		} else {
			asker.ready(c)
		}
		return secure, nil
	}
	return t
}

// askedByKey is the context key of the attempt that a connection is dialled for.
type askedByKey struct{}

// withAsker is ctx, which ends when the visitor's request does, too, and the
// attempt that a connection is dialled for; nil for none. net/http goes on dialling
// for whoever comes next: an upstream that accepts slowly would be dialled for every
// request that was ever cancelled.
func withAsker(ctx context.Context) (context.Context, *attempt, context.CancelFunc) {
	asker, _ := ctx.Value(askedByKey{}).(*attempt)
	ctx, cancel := context.WithCancel(ctx)
	if asker == nil {
		return ctx, nil, cancel
	}
	stop := context.AfterFunc(asker.f.r.Context(), cancel)
	return ctx, asker, func() {
		stop()
		cancel()
	}
}
