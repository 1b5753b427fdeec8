package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Set is the sockets devproxy listens on, as the one net.Listener of its
// http.Server. It lives as long as the process; Apply changes the sockets
// under it. Connections that were handed on are not the Set's any more.
type Set struct {
	tls      *tls.Config
	log      *slog.Logger
	accepted chan net.Conn
	slots    chan struct{} // one for each connection not yet handed on
	lastID   atomic.Uint64

	ctx  context.Context // done when the Set is closed
	stop context.CancelFunc
	wg   sync.WaitGroup // accept loops and connections not yet handed on

	mu          sync.Mutex
	https, http endpoint
}

// errNoTLS is a mistake of the caller.
var errNoTLS = errors.New("listen: Config.TLS is nil: HTTPS needs certificates")

// Open binds the sockets of cfg and starts to accept. The error is a
// *BindError where an address could not be had. ctx bounds the binding alone.
func Open(ctx context.Context, cfg Config) (*Set, error) {
	if cfg.TLS == nil {
		return nil, errNoTLS
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{
		tls:      serverTLS(cfg.TLS),
		log:      cfg.Log,
		accepted: make(chan net.Conn),
		slots:    make(chan struct{}, maxHandshakes),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	https, err := openEndpoint(ctx, cfg.HTTPS, defaultHTTPS, fallbackHTTPS, nil)
	if err != nil {
		return nil, err
	}
	http, err := openEndpoint(ctx, cfg.HTTP, defaultHTTP, 0, nil)
	if err != nil {
		closeAll(https.sockets)
		return nil, err
	}
	s.https, s.http = https, http
	s.start(https.sockets, s.secure)
	s.start(http.sockets, s.plain)
	return s, nil
}

// Apply changes to the addresses of cfg; the rest of it is what Open was
// given. Sockets that stay wanted stay open. When an address cannot be had
// nothing has changed.
func (s *Set) Apply(ctx context.Context, cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return net.ErrClosed
	}
	https, err := s.https.change(ctx, cfg.HTTPS, defaultHTTPS, fallbackHTTPS)
	if err != nil {
		return err
	}
	http, err := s.http.change(ctx, cfg.HTTP, defaultHTTP, 0)
	if err != nil {
		closeAll(without(https.sockets, s.https.sockets))
		return err
	}
	s.replace(&s.https, https, s.secure)
	s.replace(&s.http, http, s.plain)
	return nil
}

// replace makes now the endpoint and closes what it no longer needs.
func (s *Set) replace(place *endpoint, now endpoint, serve func(net.Conn)) {
	old := *place
	*place = now
	s.start(without(now.sockets, old.sockets), serve)
	closeAll(without(old.sockets, now.sockets))
}

// HTTPS are the addresses that accept TLS, all with the same port.
func (s *Set) HTTPS() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.https.addrs()
}

// HTTP are the addresses that accept plain HTTP; empty when there are none.
func (s *Set) HTTP() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.http.addrs()
}

// Fallbacks tells which default ports could not be had: HTTPS before HTTP, and
// none when all is as wanted.
func (s *Set) Fallbacks() []Fallback {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fallbacks []Fallback
	for _, e := range []endpoint{s.https, s.http} {
		if e.fallback != nil {
			fallbacks = append(fallbacks, *e.fallback)
		}
	}
	return fallbacks
}

// Accept gives the next connection, ready for net/http: TLS is agreed on, and
// HTTP/1 has the scanner before it.
func (s *Set) Accept() (net.Conn, error) {
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr is the first HTTPS address.
func (s *Set) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.https.sockets[0].Addr()
}

// Close closes the sockets and the connections that were not handed on yet,
// and returns when nothing of the Set runs any more. It may be called again.
func (s *Set) Close() error {
	s.mu.Lock()
	s.stop()
	closeAll(s.https.sockets)
	closeAll(s.http.sockets)
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}
