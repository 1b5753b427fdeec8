package devproxy

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/share"
)

// shareSite is a site with a share, whose relay is a socket on loopback.
type shareSite struct {
	*site
	relay   net.Listener
	visitor atomic.Pointer[share.Visitor] // of the next connection
	table   atomic.Pointer[Shared]
	end     context.CancelFunc
	served  chan error
}

const (
	publicName = "shop-k3v9x2m7qpr4t8wz.t.example.com"
	localName  = "shop.localhost"
)

// visitorAddr is the visitor's address unless a test sets another.
func visitorAddr() netip.AddrPort { return netip.MustParseAddrPort("203.0.113.7:40000") }

// shareFile serves a file and shares its host shop.localhost.
func shareFile(t testing.TB, proxyfile string, change func(*share.Options)) *shareSite {
	t.Helper()
	s := &shareSite{site: serveFile(t, proxyfile), served: make(chan error, 1)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.relay = &session{Listener: ln}
	s.reshare(change)
	s.visits(share.Visitor{Addr: visitorAddr(), Scheme: "https", Host: publicName})
	var ctx context.Context
	ctx, s.end = context.WithCancel(context.Background())
	go func() {
		s.served <- s.ServeShare(ctx, discard, s.relay, Sharing{
			Name:    "shop",
			Visitor: func(net.Conn) share.Visitor { return *s.visitor.Load() },
			Share:   s.table.Load,
		})
	}()
	t.Cleanup(func() {
		s.end()
		s.Close()
		s.await()
	})
	return s
}

// reshare replaces the share with one that has the usual options and a change.
func (s *shareSite) reshare(change func(*share.Options)) {
	s.t.Helper()
	options := share.Options{
		Hosts:     []share.Host{{Local: localName + ":" + strconv.Itoa(int(s.port())), Public: publicName}},
		LocalZone: localName, CookieKey: make([]byte, 32), Until: time.Now().Add(time.Hour),
	}
	var err error
	if options.Root, err = filepath.EvalSymlinks(s.folder); err != nil {
		s.t.Fatal(err)
	}
	if change != nil {
		change(&options)
	}
	table, err := share.New(options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.table.Store(&Shared{Share: table})
}

// await returns when the share has ended. Called again it returns at once.
func (s *shareSite) await() {
	s.t.Helper()
	select {
	case err := <-s.served:
		s.served <- err
		if err != nil {
			s.t.Errorf("ServeShare: %v", err)
		}
	case <-time.After(patience):
		s.t.Error("ServeShare does not return")
	}
}

// visits makes v the visitor of the next connections.
func (s *shareSite) visits(v share.Visitor) { s.visitor.Store(&v) }

// visitors is a client that reaches the share as through a relay.
func (s *shareSite) visitors() *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.relay.Addr().String())
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// visit is one request of a visitor.
func (s *shareSite) visit(path string, fields ...string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	got, err := get(ctx, s.visitors(), "http://"+publicName+path, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// openShared is a visitor's WebSocket.
func (s *shareSite) openShared(path string) (*websocket.Conn, http.Header) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, "http://"+publicName+path, &websocket.DialOptions{HTTPClient: s.visitors()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, response.Header
}

// tells are words that a text for visitors must not contain.
func (s *shareSite) tells(text string) []string {
	var found []string
	secrets := []string{"Proxyfile", "localhost", "127.0.0.1", "[::1]", s.folder, "upstream", "~/", strconv.Itoa(int(s.port()))}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			found = append(found, secret)
		}
	}
	return found
}

// dialRelay is a raw connection of a visitor.
func (s *shareSite) dialRelay() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.relay.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// session is a listener that takes its connections with it when it is closed,
// as an agent does: bytes that have not arrived by then are lost.
type session struct {
	net.Listener
	mu    sync.Mutex
	conns []*net.TCPConn
}

func (s *session) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c.(*net.TCPConn))
	return c, nil
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.SetLinger(0) // a reset; most are closed already
		_ = c.Close()
	}
	return s.Listener.Close()
}
