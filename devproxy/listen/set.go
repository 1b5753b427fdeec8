// Package listen owns the sockets that outlive plans: it binds them, says why
// a port is not available and which process has it, accepts connections, does TLS,
// and passes HTTP/1 through the scanner of package message, which refuses requests
// that can be read in more than one way.
//
// A Set is the net.Listener of one long-lived http.Server:
//
//	set, err := listen.Open(ctx, listen.Config{TLS: certificates})
//	server := &http.Server{
//		Handler:           handler,
//		ReadHeaderTimeout: 10 * time.Second,
//		ConnContext:       listen.ConnContext,
//		ConnState:         listen.ConnState,
//	}
//	err = server.Serve(set)
//
// Both hooks are needed: with ConnContext the handler finds what is known of the
// connection (FromContext) and what was refused on it (message.Refused);
// with ConnState the scanner notices whether an upgrade was accepted.
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

	"github.com/devproxy/devproxy/devproxy/front"
)

// Config configures a Set. Addresses are "8443", ":8443",
// "127.0.0.1:8443" or "[::1]:8443", with port 0 for any free one. A given address
// is never replaced by another; an empty one means the default port with its
// fallback.
type Config struct {
	HTTPS string // empty: 443, else 8443, else the next free port
	HTTP  string // empty: 80, else none

	// Runtime is the user's runtime directory. With it, and without any address, the
	// default ports are those that all projects of the user share (package front).
	// Empty gives this Set sockets of its own.
	Runtime string
	// Passed are the sockets that systemd passed to this process. They are used in place
	// of the default ports. An address is refused with ErrPassed. Nil has none.
	Passed *Passed
	// Announce is called with what a person should know before a socket is opened: on
	// macOS, that the firewall is going to ask. Nil ignores it.
	Announce func(text string)
	// Lost is called with a *front.TakenError when another project has got one of the
	// names, and with what kept this one from the shared ports. Nil ignores it.
	Lost func(error)

	// TLS holds the certificates (GetCertificate). Protocols and the lowest
	// version are set here: HTTP/2 and HTTP/1.1, TLS 1.2. Must not be nil.
	TLS *tls.Config

	// Log receives errors that are not returned to a caller: failed handshakes
	// (debug) and accepts that fail (warning). Nil discards it.
	Log *slog.Logger
}

// Equal reports whether both have the same addresses.
func (c Config) Equal(other Config) bool { return c.HTTPS == other.HTTPS && c.HTTP == other.HTTP }

// shares reports whether the default ports are shared with other projects.
func (c Config) shares() bool { return c.Runtime != "" && c.HTTPS == "" && c.HTTP == "" }

// serverTLS is a copy of the certificates' configuration for accepting.
func serverTLS(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}

// Set is the sockets devproxy listens on, as the one net.Listener of its
// http.Server. It lives as long as the process; Apply changes the sockets
// under it. It does not own connections that Accept has returned.
type Set struct {
	tls      *tls.Config
	log      *slog.Logger
	accepted chan net.Conn
	slots    chan struct{} // one for each connection not yet handed on
	lastID   atomic.Uint64

	ctx  context.Context // done when the Set is closed
	stop context.CancelFunc
	wg   sync.WaitGroup // accept loops and connections not yet handed on

	mu    sync.Mutex
	bound endpoints
	names []front.Name // as registered last
}

// errNoTLS is a mistake of the caller.
var errNoTLS = errors.New("listen: Config.TLS is nil: HTTPS needs certificates")

// Open binds the sockets of cfg and starts to accept. The error is a
// *BindError when an address is not available. ctx bounds only the binding.
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
	first, err := openEndpoints(ctx, cfg, endpoints{})
	if err != nil {
		return nil, err
	}
	s.replace(first)
	return s, nil
}

// Apply changes to the addresses of cfg; the rest of it must be what Open was
// given. Sockets that are still asked for stay open. When an address is not
// available nothing has changed.
func (s *Set) Apply(ctx context.Context, cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return net.ErrClosed
	}
	next, err := openEndpoints(ctx, cfg, s.bound)
	if s.bound.has(err) && s.bound.shared.Alone() {
		return s.leave(ctx, cfg)
	}
	if err == nil && next.shared != nil && next.shared != s.bound.shared {
		// The names of the plan that is served: a new one may be refused.
		if err = next.shared.Register(ctx, s.names); err != nil {
			next.close()
		}
	}
	if err != nil {
		return err
	}
	s.replace(next)
	return nil
}

// leave leaves the shared ports for one of the same number that is for this process
// alone. No other project shares them; if one begins to meanwhile, this process shares
// them again.
func (s *Set) leave(ctx context.Context, cfg Config) error {
	s.bound.close()
	next, failed := openOwn(ctx, cfg, endpoints{})
	if failed != nil {
		cfg.HTTPS, cfg.HTTP = "", ""
		var err error
		if next, err = joinOthers(ctx, cfg); err != nil {
			s.bound.left = true
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, next.shared.Register(ctx, s.names))
	}
	s.bound = endpoints{}
	s.replace(next)
	return failed
}

// Reopen closes the default ports and opens them again: those that were not available may
// be now. With shared ports, the other projects keep theirs and get the new ones in
// addition. No names may be registered yet, and cfg must be that of Open.
func (s *Set) Reopen(ctx context.Context, cfg Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return net.ErrClosed
	}
	s.bound.close()
	next, err := openEndpoints(ctx, cfg, endpoints{})
	if err != nil {
		return err
	}
	s.bound = endpoints{}
	s.replace(next)
	return nil
}

// replace makes next the endpoints and closes sockets that are no longer needed.
func (s *Set) replace(next endpoints) {
	old := s.bound
	s.bound = next
	for _, socket := range without(next.https.sockets, old.https.sockets) {
		s.wg.Go(func() { s.acceptLoop(socket, s.secure) })
	}
	for _, socket := range without(next.http.sockets, old.http.sockets) {
		s.wg.Go(func() { s.acceptLoop(socket, s.plain) })
	}
	closeAll(without(old.sockets(), next.sockets()))
	if old.shared != nil && old.shared != next.shared {
		_ = old.shared.Close() // has nothing to lose
	}
}

// Register replaces the names that this process serves on shared ports. The error is
// a *front.TakenError, which changes nothing, if another project has one of them.
// With ports of its own it does nothing.
func (s *Set) Register(ctx context.Context, names []front.Name) error {
	if shared := s.shared(); shared != nil {
		if err := shared.Register(ctx, names); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = names
	return nil
}

// StepDown lets another project accept connections on shared ports, if one runs:
// this process is about to be stopped.
func (s *Set) StepDown() {
	if shared := s.shared(); shared != nil {
		shared.StepDown()
	}
}

// Shares reports whether the ports are those that all projects share.
func (s *Set) Shares() bool { return s.shared() != nil }

func (s *Set) shared() *front.Shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound.shared
}

// HTTPS are the addresses that accept TLS, all with the same port.
func (s *Set) HTTPS() []netip.AddrPort { return s.addrs(&s.bound.https) }

// HTTP are the addresses that accept plain HTTP; empty without plain HTTP.
func (s *Set) HTTP() []netip.AddrPort { return s.addrs(&s.bound.http) }

func (s *Set) addrs(e *endpoint) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]netip.AddrPort, len(e.sockets))
	for i, socket := range e.sockets {
		addrs[i] = boundTo(socket)
	}
	return addrs
}

// Fallbacks returns which default ports were not available: HTTPS before HTTP, and
// none when all is as configured.
func (s *Set) Fallbacks() []Fallback {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fallbacks []Fallback
	for _, e := range []endpoint{s.bound.https, s.bound.http} {
		if e.fallback != nil {
			fallbacks = append(fallbacks, *e.fallback)
		}
	}
	return fallbacks
}

// Older returns the port of HTTPS that projects have which run already, if this process
// has added its own to it; else 0.
func (s *Set) Older() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.bound.older)
}

// Accept returns the next connection, ready for net/http: the TLS handshake is done,
// and HTTP/1 has the scanner in front of it.
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
	return s.bound.https.sockets[0].Addr()
}

// Close closes the sockets and the connections that were not handed on yet,
// and returns when nothing of the Set runs any more. It may be called again.
func (s *Set) Close() error {
	s.mu.Lock()
	s.stop()
	closeAll(s.bound.sockets())
	shared := s.bound.shared
	s.mu.Unlock()
	var err error
	if shared != nil {
		err = shared.Close()
	}
	s.wg.Wait()
	return err
}
