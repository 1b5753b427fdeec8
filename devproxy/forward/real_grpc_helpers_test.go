package forward

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// grpcUpstreams are the protocols that carry gRPC.
var grpcUpstreams = []string{"h2c", "https"}

// grpcFront answers as the product does: errors become gRPC's own answers.
type grpcFront struct{ *proxy }

func (f grpcFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := Exchange{Match: plan.Match{Route: f.route}, Target: r.URL.EscapedPath(), Scheme: "https"}
	err := f.upstream.Forward(w, r, x)
	switch {
	case err == nil:
	case errors.Is(err, ErrAborted):
		panic(http.ErrAbortHandler)
	case page.IsGRPC(r):
		page.WriteGRPC(w, statusOf(err), err.Error())
	default:
		http.Error(w, err.Error(), statusOf(err))
	}
}

// grpcProxy is devproxy before member, and a gRPC client of it over TLS.
func grpcProxy(t *testing.T, opts Options, member plan.Member, dial ...grpc.DialOption) (*proxy, *grpc.ClientConn) {
	t.Helper()
	p := newProxy(t, "h1", opts, member)
	front := httptest.NewUnstartedServer(grpcFront{p})
	front.EnableHTTP2 = true
	front.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	front.StartTLS()
	t.Cleanup(front.Close)
	roots := x509.NewCertPool()
	roots.AddCert(front.Certificate())
	dial = append(dial, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"})))
	conn, err := grpc.NewClient("passthrough:///"+front.Listener.Addr().String(), dial...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return p, conn
}

// grpcUpstream is a gRPC server, and the member that reaches it.
func grpcUpstream(t *testing.T, mode string, e *echo, opts ...grpc.ServerOption) (*grpc.Server, plan.Member) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	member := tcpMember(ln.Addr().String())
	member.Scheme = plan.SchemeH2C
	if mode == "https" {
		member.Scheme, member.SkipVerify, member.ServerName = plan.SchemeHTTPS, true, "localhost"
		opts = append(opts, grpc.Creds(credentials.NewServerTLSFromCert(testCertificate(t))))
	}
	return serveGRPC(t, ln, e, opts...), member
}

// testCertificate is the one that net/http/httptest brings along.
func testCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return &srv.TLS.Certificates[0]
}

// overGRPC runs one behaviour over every kind of gRPC upstream.
func overGRPC(t *testing.T, run func(t *testing.T, conn *grpc.ClientConn, e *echo)) {
	for _, mode := range grpcUpstreams {
		t.Run(mode, func(t *testing.T) {
			e := &echo{started: make(chan bool, 1), ended: make(chan error, 1), deadline: make(chan time.Duration, 1)}
			_, member := grpcUpstream(t, mode, e)
			_, conn := grpcProxy(t, Options{}, member)
			run(t, conn, e)
		})
	}
}
