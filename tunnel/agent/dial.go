package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// connectTimeout bounds the connecting to one end, the relay or a proxy,
	// with what a proxy takes to connect to the relay.
	connectTimeout = 10 * time.Second
	// shakeTimeout bounds one TLS handshake, or one WebSocket's.
	shakeTimeout = 10 * time.Second
	// webFor is how long lanes go inside a WebSocket at once, without trying
	// the plain way first, once that failed and this worked.
	webFor = 10 * time.Minute
)

// dialer makes the lanes to one relay.
type dialer struct {
	target     target
	proxy      *proxy // nil: direct
	tls        *tls.Config
	proxyRoots *x509.CertPool // nil: the system's
	congestion string
	greeted    bool // the server speaks first, as it does not in TLS
	dial       func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	webTil time.Time
}

// newDialer is never nil, so that the agent can tell what it was to dial.
func newDialer(opts Options) (*dialer, error) {
	d := &dialer{congestion: opts.Congestion, dial: new(net.Dialer).DialContext}
	var err error
	if d.target, err = parseTarget(opts.Relay); err != nil {
		return d, err
	}
	if d.tls, err = tlsConfig(d.target, opts); err != nil {
		return d, err
	}
	d.proxy, err = proxyFor(d.target, opts.Getenv)
	return d, err
}

// Dial connects to address, HOST:PORT, by TCP within ten seconds, as an agent
// connects to its relay: through the proxy that getenv names, if it names one. For
// the servers of others, which share this machine's network with the relay. The
// error is an *Error; what its Fix says of a relay is for the caller to replace.
func Dial(ctx context.Context, address string, getenv func(string) string) (net.Conn, error) {
	d, err := newDialer(Options{Relay: address, Getenv: getenv})
	if err != nil {
		return nil, err
	}
	d.greeted = true
	return d.connect(ctx)
}

// lane makes one lane: TLS that carries frames, or where something on the way
// does not let that pass, a WebSocket in TLS. What worked is tried first the
// next time.
func (d *dialer) lane(ctx context.Context) (tunnel.Lane, error) {
	if d.prefersWeb() {
		lane, err := d.web(ctx)
		d.remember(err == nil)
		return lane, err
	}
	lane, err := d.plain(ctx)
	if err == nil || !mayPassAsWeb(err) || ctx.Err() != nil {
		return lane, err
	}
	lane, webErr := d.web(ctx)
	if webErr == nil {
		d.remember(true)
		return lane, nil
	}
	if isReason(webErr, ReasonBroken) {
		return tunnel.Lane{}, err // no wiser
	}
	return tunnel.Lane{}, webErr
}

func (d *dialer) prefersWeb() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.webTil)
}

func (d *dialer) remember(web bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.webTil = time.Time{}
	if web {
		d.webTil = time.Now().Add(webFor)
	}
}

// mayPassAsWeb reports whether a WebSocket could do where plain TLS did not:
// the handshake was cut, or something answered that does not know our protocol.
func mayPassAsWeb(err error) bool {
	return isReason(err, ReasonNotRelay) || isReason(err, ReasonBroken)
}

func isReason(err error, reason Reason) bool {
	var e *Error
	return errors.As(err, &e) && e.Reason == reason
}

// plain makes a lane of TLS alone.
func (d *dialer) plain(ctx context.Context) (tunnel.Lane, error) {
	socket, err := d.connect(ctx)
	if err != nil {
		return tunnel.Lane{}, err
	}
	conn, err := d.secure(ctx, socket, tunnel.ALPN)
	if err != nil {
		return tunnel.Lane{}, err
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != tunnel.ALPN {
		conn.Close()
		return tunnel.Lane{}, d.target.notRelay(fmt.Errorf("it speaks %q, not %s", got, tunnel.ALPN))
	}
	return d.laneOver(conn, conn, socket)
}

// laneOver is the lane whose frames conn carries.
func (d *dialer) laneOver(conn net.Conn, secure *tls.Conn, socket *socket) (tunnel.Lane, error) {
	binding, err := tunnel.Binding(secure.ConnectionState())
	if err != nil {
		conn.Close()
		return tunnel.Lane{}, d.target.broken("talk to", err)
	}
	return tunnel.Lane{Conn: conn, Binding: binding, TCP: socket.tcp}, nil
}

// socket is a way to the relay, on which nothing was said yet.
type socket struct {
	net.Conn
	tcp *net.TCPConn // at the bottom; nil in tests
}

// connect makes a way to the relay.
func (d *dialer) connect(ctx context.Context) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if d.proxy != nil {
		return d.throughProxy(ctx)
	}
	s, err := d.reach(ctx, d.target.host, d.target.port)
	if err != nil {
		return nil, d.target.unreached(err)
	}
	return s, nil
}

// reach connects to an end of this network. When every address fails the error
// is the first one's: a machine may lack the second altogether.
func (d *dialer) reach(ctx context.Context, host, port string) (*socket, error) {
	var first error
	for _, address := range addressesOf(host, port) {
		conn, err := d.dial(ctx, "tcp", address)
		if err == nil {
			tcp, _ := conn.(*net.TCPConn)
			if tcp != nil {
				tunnel.Tune(tcp, d.congestion)
			}
			return &socket{conn, tcp}, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// addressesOf are the addresses to dial in turn for a host. The resolver is
// not asked for names that mean this machine.
func addressesOf(host, port string) []string {
	if !isLocal(host) {
		return []string{net.JoinHostPort(host, port)}
	}
	return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
}
