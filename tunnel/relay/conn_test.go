package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/devproxy/devproxy/tunnel"
)

// header is a header of the PROXY protocol for a visitor.
func header(t testing.TB, version byte, visitor string) string {
	t.Helper()
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(visitor))
	to := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}
	if from.IP.To4() == nil {
		to.IP = net.ParseIP("2001:db8::1")
	}
	text, err := proxyproto.HeaderProxyFromAddrs(version, from, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// local is what a balancer sends for its own health checks.
func local(t testing.TB) string {
	t.Helper()
	text, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// through is a client of the relay behind a balancer, which sends a header first.
func (w *world) through(protocol, header string) *http.Client {
	client := w.client(protocol)
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", w.addr)
		if err == nil {
			_, err = io.WriteString(c, header)
		}
		return c, err
	}
	return client
}

// loopback is where tests connect from.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// visitorsOf shares a host whose answers name the visitor, and returns its URL.
func (w *world) visitorsOf(key string) string {
	a := w.agent(testKey(key), claimOf(testKey(key), ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, visitorOf(r).Addr)
	}))
	return "https://" + a.grant.Hosts[0] + "/"
}

// TestProxyProtocol: the address in the header is the visitor's, in versions 1 and 2 and
// with every protocol after it. Agents have a header too.
func TestProxyProtocol(t *testing.T) {
	w, find := logged(t, func(o *Options) { o.ProxyProtocol = loopback })
	key := testKey("a")
	dialer := func(ctx context.Context) (tunnel.Lane, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", w.addr)
		if err != nil {
			return tunnel.Lane{}, err
		}
		if _, err := io.WriteString(c, header(t, 2, "198.51.100.9:5000")); err != nil {
			return tunnel.Lane{}, err
		}
		secure := tls.Client(c, &tls.Config{RootCAs: w.ca.pool, ServerName: domain, NextProtos: []string{tunnel.ALPN}})
		if err := secure.HandshakeContext(ctx); err != nil {
			return tunnel.Lane{}, err
		}
		binding, err := tunnel.Binding(secure.ConnectionState())
		return tunnel.Lane{Conn: secure, Binding: binding}, err
	}
	w.dialer = dialer
	url := w.visitorsOf("a")
	if line := find("agent connected"); line["from"] != "198.51.100.9/32" || line["key"] != publicKey(key).String() {
		t.Errorf("the agent is logged as %v", line)
	}
	for _, protocol := range []string{"h1", "h2"} {
		for version := range byte(2) {
			for _, visitor := range []string{"203.0.113.7:4711", "[2001:db8::7]:4711"} {
				client := w.through(protocol, header(t, version+1, visitor))
				for range 2 { // the second request on the same connection
					if _, body, _ := get(t, client, url); body != visitor {
						t.Errorf("%s, version %d: %s becomes %q", protocol, version+1, visitor, body)
					}
				}
			}
		}
	}
	// An unknown visitor is not the balancer.
	if _, body, _ := get(t, w.through("h1", "PROXY UNKNOWN\r\n"), url); body != "invalid AddrPort" {
		t.Errorf("an unknown visitor is %q", body)
	}
	if _, body, _ := get(t, w.through("h1", local(t)), url); !strings.HasPrefix(body, "127.0.0.1:") {
		t.Errorf("the balancer itself is %q", body)
	}
	// What a visitor sends is not a header.
	client := w.through("h1", header(t, 1, "203.0.113.7:4711")+header(t, 1, "10.0.0.1:1"))
	if _, err := client.Get(url); err == nil {
		t.Error("a second header is taken")
	}
}

// TestProxyProtocolRefused: a listed address must send a header, and one from any other
// address is not read.
func TestProxyProtocolRefused(t *testing.T) {
	w, find := logged(t, func(o *Options) { o.ProxyProtocol = loopback })
	for name, sent := range map[string]string{
		"none":         "",
		"half of one":  "PROXY TCP4 203.0.113.7",
		"a bad one":    "PROXY TCP4 example.com 192.0.2.1 1 2\r\n",
		"a long one":   "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n",
		"a long v2":    string(proxyproto.SIGV2) + "\x21\x11\xff\xff" + strings.Repeat("x", 70_000),
		"another kind": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if _, err := w.through("h1", sent).Get("https://x." + domain + "/"); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	saysWhy(t, find("connection refused"), "--proxy-protocol lists it")

	w, find = logged(t, nil)
	if _, err := w.through("h1", header(t, 1, "203.0.113.7:4711")).Get("https://x." + domain + "/"); err == nil {
		t.Error("a header from an address that is not listed is taken")
	}
	saysWhy(t, find("handshake failed"), "")
}

// TestProxyProtocolLimits: the limits apply to the address in the header, and not to
// the balancer's.
func TestProxyProtocolLimits(t *testing.T) {
	w, find := logged(t, func(o *Options) { o.ProxyProtocol, o.Limits.ConnectionsPerAddress = loopback, 2 })
	open := func(visitor string) net.Conn {
		c := dialTCP(t, w.addr)
		if _, err := io.WriteString(c, header(t, 2, visitor)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for i := range 6 { // of three visitors, all through one balancer
		open(fmt.Sprintf("203.0.113.%d:%d", i/2, 1000+i))
	}
	eventually(t, "all are in", func() bool { n, _, _ := w.conns.counts(); return n == 6 })
	c := open("203.0.113.0:2000")
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection of one visitor is served")
	}
	if line := find("connection refused"); line["error"] != "too many connections" {
		t.Errorf("%v", line)
	}
	eventually(t, "the others are left", func() bool { n, _, _ := w.conns.counts(); return n == 6 })
}

// TestReaddress: a connection that moves to another network no longer counts for the
// first one.
func TestReaddress(t *testing.T) {
	d := newConnections(Limits{}.withDefaults())
	near, far := net.Pipe()
	defer far.Close()
	c := d.add(addressed{near, netip.MustParseAddrPort("192.0.2.1:1")})
	old := c.from
	if !d.readdress(c, netip.MustParseAddrPort("192.0.2.2:2")) || c.from == old || old.conns() != 0 || old.idle == nil || c.from.conns() != 1 || old.pools[poolHandshake].Len() != 0 {
		t.Errorf("from %+v to %+v", old, c.from)
	}
	if c.RemoteAddr().String() != "192.0.2.2:2" {
		t.Errorf("it is from %v", c.RemoteAddr())
	}
	c.Close()
	if d.readdress(c, netip.MustParseAddrPort("192.0.2.3:3")) || c.from.conns() != 0 {
		t.Error("a closed one moves")
	}
}

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	from netip.AddrPort
}

func (a addressed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(a.from) }

// bare is a relay that does not run.
func bare(t testing.TB, change func(*Options)) *Relay {
	t.Helper()
	o := Options{Domain: domain, Registry: NewMemory(), Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}
	change(&o)
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestProxyProtocolTimeout: the relay waits for a header no longer than proxyHeaderTimeout,
// and not when it stops.
func TestProxyProtocolTimeout(t *testing.T) {
	for name, stops := range map[string]bool{"silence": false, "the relay stops": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bare(t, func(o *Options) { o.ProxyProtocol = loopback })
				near, far := net.Pipe()
				defer far.Close()
				c := r.conns.add(addressed{near, netip.MustParseAddrPort("127.0.0.1:1")})
				began := time.Now()
				if stops {
					time.AfterFunc(time.Second, r.Close)
				}
				err := r.readProxyHeader(c, true)
				switch took := time.Since(began); {
				case stops && (err == nil || took != time.Second):
					t.Errorf("after %v: %v", took, err)
				case !stops && (!errors.Is(err, os.ErrDeadlineExceeded) || took != proxyHeaderTimeout):
					t.Errorf("after %v: %v", took, err)
				}
				c.Close()
				r.Close()
			})
		})
	}
}

// TestRedirectBehindBalancer: plain HTTP may have a header or not.
func TestRedirectBehindBalancer(t *testing.T) {
	w := start(t, func(o *Options) { o.ProxyProtocol = loopback })
	ln, done := listen(t), make(chan error, 1)
	go func() { done <- w.ServeRedirect(context.Background(), ln) }()
	for _, sent := range []string{"", header(t, 1, "203.0.113.7:1"), header(t, 2, "[2001:db8::7]:1")} {
		c := dialTCP(t, ln.Addr().String())
		fmt.Fprintf(c, "%sGET /x HTTP/1.1\r\nHost: a.%s\r\n\r\n", sent, domain)
		answer, err := io.ReadAll(c)
		if err != nil || !bytes.Contains(answer, []byte("Location: https://a."+domain+"/x\r\n")) {
			t.Errorf("%q: %q, %v", sent, answer, err)
		}
	}
	w.Close()
	if err := within(t, "ServeRedirect", done); err != nil {
		t.Error(err)
	}
}

// FuzzProxyHeader: no bytes crash the relay or are read twice, and what follows a header is
// read unchanged.
func FuzzProxyHeader(f *testing.F) {
	for _, version := range []byte{1, 2} {
		f.Add(header(f, version, "203.0.113.7:4711") + "rest")
		f.Add(header(f, version, "[2001:db8::7]:4711"))
	}
	f.Add(local(f))
	f.Add("PROXY UNKNOWN\r\nrest")
	r := bare(f, func(o *Options) { o.ProxyProtocol = loopback })
	f.Fuzz(func(t *testing.T, sent string) {
		c := r.conns.add(&script{Reader: strings.NewReader(sent)})
		defer c.Close()
		if err := r.readProxyHeader(c, false); err != nil {
			return
		}
		rest, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(sent, string(rest)) {
			t.Errorf("%q leaves %q, %v", sent, rest, err)
		}
		if c.fromHeader && len(rest) == len(sent) {
			t.Errorf("%q is taken for %v, and left there", sent, c.addr)
		}
	})
}

// script is a connection of a balancer that sends what a Reader has.
type script struct {
	io.Reader
	net.Conn
}

func (s *script) Read(p []byte) (int, error)      { return s.Reader.Read(p) }
func (s *script) Close() error                    { return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
