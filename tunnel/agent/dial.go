package agent

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// connectTimeout bounds the connecting to one end, the relay or a proxy,
	// including the time that a proxy takes to connect to the relay.
	connectTimeout = 10 * time.Second
	// shakeTimeout bounds one TLS handshake, or one WebSocket's.
	shakeTimeout = 10 * time.Second
	// webFor is how long lanes use a WebSocket at once, without plain TLS
	// first, after that failed and a WebSocket worked.
	webFor = 10 * time.Minute
	// webPath is the path of lanes inside WebSockets at a relay.
	webPath = "/.well-known/devproxy/agent"
)

// dialer makes the lanes to one relay.
type dialer struct {
	target     target
	proxy      *proxy // nil: direct
	tls        *tls.Config
	proxyRoots *x509.CertPool // nil: the system's
	congestion string
	greeted    bool // the server sends first, unlike in TLS
	dial       func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	webTil time.Time
}

// newDialer never returns nil: with an error too, the dialer has the target, for
// messages.
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
// connects to its relay: through the proxy that getenv names, if it names one. It is
// for servers other than relays, which are reached over the same network. The
// error is an *Error; the caller replaces what its Fix says about a relay.
func Dial(ctx context.Context, address string, getenv func(string) string) (net.Conn, error) {
	d, err := newDialer(Options{Relay: address, Getenv: getenv})
	if err != nil {
		return nil, err
	}
	d.greeted = true
	return d.connect(ctx)
}

// lane makes one lane: TLS that carries frames, or where something on the way
// does not let that pass, a WebSocket in TLS. The one that worked is tried first the
// next time.
func (d *dialer) lane(ctx context.Context) (tunnel.Lane, error) {
	if d.prefersWeb() {
		lane, err := d.web(ctx)
		d.remember(err == nil)
		return lane, err
	}
	lane, err := d.plain(ctx)
	// A WebSocket may pass where the handshake was cut, or where something answered
	// that does not know the protocol.
	if err == nil || !isReason(err, ReasonNotRelay) && !isReason(err, ReasonBroken) || ctx.Err() != nil {
		return lane, err
	}
	lane, webErr := d.web(ctx)
	if webErr == nil {
		d.remember(true)
		return lane, nil
	}
	if isReason(webErr, ReasonBroken) {
		return tunnel.Lane{}, err // the first error says as much
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

// plain makes a lane of TLS alone.
func (d *dialer) plain(ctx context.Context) (tunnel.Lane, error) {
	conn, tcp, err := d.secure(ctx, tunnel.ALPN)
	if err != nil {
		return tunnel.Lane{}, err
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != tunnel.ALPN {
		conn.Close()
		return tunnel.Lane{}, d.target.notRelay(fmt.Errorf("it speaks %q, not %s", got, tunnel.ALPN))
	}
	return d.laneOver(conn, conn, tcp)
}

// web makes a lane inside a WebSocket (RFC 6455) over the same TLS. The handshake
// signs its binding too, so that something between that ends TLS is found out.
func (d *dialer) web(ctx context.Context) (tunnel.Lane, error) {
	secure, tcp, err := d.secure(ctx, "http/1.1")
	if err != nil {
		return tunnel.Lane{}, err
	}
	conn, err := d.upgrade(ctx, secure)
	if err != nil {
		secure.Close()
		return tunnel.Lane{}, err
	}
	lane := webLane{websocket.NetConn(context.Background(), conn, websocket.MessageBinary), conn}
	return d.laneOver(lane, secure, tcp)
}

// upgrade makes a WebSocket of a connection.
func (d *dialer) upgrade(ctx context.Context, c net.Conn) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, shakeTimeout)
	defer cancel()
	transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
	client := &http.Client{
		Transport: transport,
		// A relay does not redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	conn, response, err := websocket.Dial(ctx, d.target.origin()+webPath, &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // Dial has closed it
	if err == nil {
		return conn, nil
	}
	transport.CloseIdleConnections()
	if response != nil {
		return nil, d.target.notRelay(fmt.Errorf("it answers %s", printable(response.Status)))
	}
	if ctx.Err() != nil {
		err = errors.New("no answer to the WebSocket's handshake")
	}
	return nil, d.target.broken(opTalk, err)
}

// webLane is a WebSocket as a connection of frames. Its Close does not wait for
// the other end's: the session's last frame has told the other end.
type webLane struct {
	net.Conn
	ws *websocket.Conn
}

func (l webLane) Close() error {
	err := l.ws.CloseNow()
	_ = l.Conn.Close() // stops its timers
	return err
}

// laneOver returns the lane whose frames conn carries.
func (d *dialer) laneOver(conn net.Conn, secure *tls.Conn, tcp *net.TCPConn) (tunnel.Lane, error) {
	binding, err := tunnel.Binding(secure.ConnectionState())
	if err != nil {
		conn.Close()
		return tunnel.Lane{}, d.target.broken(opTalk, err)
	}
	return tunnel.Lane{Conn: conn, Binding: binding, TCP: tcp}, nil
}

// secure connects to the relay and shakes hands over TLS, offering one protocol.
func (d *dialer) secure(ctx context.Context, protocol string) (*tls.Conn, *net.TCPConn, error) {
	s, err := d.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	config := d.tls.Clone()
	config.NextProtos = []string{protocol}
	ctx, cancel := context.WithTimeout(ctx, shakeTimeout)
	defer cancel()
	conn := tls.Client(s, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		s.Close()
		return nil, nil, d.target.unverified(err)
	}
	return conn, s.tcp, nil
}

// socket is a connection to the relay on which nothing was sent yet.
type socket struct {
	net.Conn
	tcp *net.TCPConn // at the bottom; nil in tests
}

// connect connects to the relay, through the proxy if there is one.
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

// reach connects to a host of this network. When every address fails it returns the
// first one's error: a machine may lack the second altogether.
func (d *dialer) reach(ctx context.Context, host, port string) (*socket, error) {
	addresses := []string{net.JoinHostPort(host, port)}
	if isLocal(host) { // which the resolver may not know
		addresses = []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
	}
	var first error
	for _, address := range addresses {
		conn, err := d.dial(ctx, "tcp", address)
		if err == nil {
			tcp, _ := conn.(*net.TCPConn)
			if tcp != nil {
				tunnel.Tune(tcp, d.congestion)
			}
			return &socket{conn, tcp}, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// defaultPort is the port of relays.
const defaultPort = "443"

// target is a relay's host and port, as the user wrote them.
type target struct {
	host string // lower case, no final dot
	port string
}

// parseTarget reads Options.Relay.
func parseTarget(text string) (target, error) {
	refuse := func(reason string) (target, error) {
		return target{host: text}, &Error{Reason: ReasonRelay, Op: "use", Addr: strconv.Quote(text) + " as a relay", Err: errors.New(reason), Fix: "write a domain, with its port if that is not 443: t.example.com:8443"}
	}
	if strings.Contains(text, "/") {
		return refuse("this is a URL")
	}
	host, port := text, defaultPort
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || len(port) > 5 {
		return refuse("this is not a port")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(host)
	if isName := isName(host) && !strings.Contains(host, "*"); err != nil && !isName {
		return refuse("this is not a domain")
	}
	return target{host, port}, nil
}

// String returns the relay's name as people write it.
func (t target) String() string {
	if t.port == "" || t.port == defaultPort {
		return t.host
	}
	return t.address()
}

// Network makes a target a net.Addr.
func (t target) Network() string { return "devproxy" }

// address returns the address to dial.
func (t target) address() string { return net.JoinHostPort(t.host, t.port) }

// origin returns the https origin, for HTTP.
func (t target) origin() string {
	if t.port == defaultPort && strings.Contains(t.host, ":") {
		return fmt.Sprintf("https://[%s]", t.host)
	}
	return "https://" + t.String()
}

// isLocal reports whether a host's name means this machine (RFC 6761 section 6.3).
func isLocal(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
