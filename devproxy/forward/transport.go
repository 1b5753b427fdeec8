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
)

// connectFunc opens a connection to a member.
type connectFunc func(ctx context.Context) (net.Conn, error)

// newPooled and newSingle are the seam behind which requests are carried: all
// that the rest of the package asks of them is http.RoundTripper.
func newPooled(m plan.Member, connect connectFunc) *http.Transport {
	t := newTransport(m, connect)
	switch m.Scheme {
	case plan.SchemeH2C:
		t.Protocols.SetUnencryptedHTTP2(true)
	case plan.SchemeHTTPS:
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	default:
		t.Protocols.SetHTTP1(true)
	}
	return t
}

// newSingle speaks HTTP/1.1 whatever the scheme: upgrades need it.
func newSingle(m plan.Member, connect connectFunc) *http.Transport {
	t := newTransport(m, connect)
	t.Protocols.SetHTTP1(true)
	t.DisableKeepAlives = true
	return t
}

func newTransport(m plan.Member, connect connectFunc) *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := withAsker(ctx)
			defer cancel()
			conn, err := connect(ctx)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: conn}, nil
		},
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxResponseHead,
		// What the visitor accepts is asked for, and what comes is passed on.
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	if m.Scheme == plan.SchemeHTTPS {
		t.TLSClientConfig = &tls.Config{
			ServerName: m.ServerName,
			// The Proxyfile's word, or a loopback upstream's own certificate.
			InsecureSkipVerify: m.SkipVerify,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
	}
	return t
}

// askedByKey is the context key of the context of the visitor's request.
type askedByKey struct{}

// withAsker is ctx, which ends when the visitor's request does, too. net/http
// goes on dialling for whoever comes next: an upstream that accepts slowly would
// be dialled for every request that was ever cancelled.
func withAsker(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	asker, ok := ctx.Value(askedByKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	stop := context.AfterFunc(asker, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
