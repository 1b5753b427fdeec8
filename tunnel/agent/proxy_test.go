package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeProxy connects its clients to the relay, whatever name they ask for.
type fakeProxy struct {
	t     testing.TB
	relay string // where it connects to
	// handshake reads what a client asks for and answers; false ends it.
	handshake func(net.Conn, *bufio.Reader) bool
	cert      *tls.Certificate // for proxies that are spoken to over TLS
	// pass replaces the copying of bytes.
	pass func(client, relay net.Conn)

	ln    net.Listener
	group sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	asked []string
}

func (p *fakeProxy) start() *fakeProxy {
	p.t.Helper()
	var err error
	if p.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		p.t.Fatal(err)
	}
	p.group.Go(func() {
		for {
			c, err := p.ln.Accept()
			if err != nil {
				return
			}
			p.keep(c)
			p.group.Go(func() { p.serve(c) })
		}
	})
	p.t.Cleanup(func() {
		p.ln.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.group.Wait()
	})
	return p
}

func (p *fakeProxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

func (p *fakeProxy) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, what)
}

func (p *fakeProxy) first() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) == 0 {
		return ""
	}
	return p.asked[0]
}

func (p *fakeProxy) serve(c net.Conn) {
	defer c.Close()
	if p.cert != nil {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*p.cert}})
	}
	if !p.handshake(c, bufio.NewReaderSize(c, 1)) { // bufio's least is 16: nothing of TLS is read with it
		return
	}
	relay, err := net.Dial("tcp", p.relay)
	if err != nil {
		return
	}
	p.keep(relay)
	defer relay.Close()
	if p.pass != nil {
		p.pass(c, relay)
		return
	}
	join(c, relay)
}

// join copies both ways until both have ended.
func join(a, b net.Conn) {
	var group sync.WaitGroup
	group.Go(func() {
		defer b.Close()
		_, _ = io.Copy(b, a)
	})
	_, _ = io.Copy(a, b)
	a.Close()
	group.Wait()
}

// connectProxy answers CONNECT; auth is the Proxy-Authorization it wants.
func (p *fakeProxy) connectProxy(auth string) *fakeProxy {
	p.handshake = func(c net.Conn, r *bufio.Reader) bool {
		q, err := http.ReadRequest(r)
		if err != nil || q.Method != http.MethodConnect {
			return false
		}
		p.note(q.RequestURI + " " + q.Host)
		if q.Header.Get("Proxy-Authorization") != auth {
			_, _ = io.WriteString(c, "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n")
			return false
		}
		_, err = io.WriteString(c, "HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n")
		return err == nil
	}
	return p
}

// answering answers every client with text.
func (p *fakeProxy) answering(text string) *fakeProxy {
	p.handshake = func(c net.Conn, r *bufio.Reader) bool {
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(c, text)
		}
		return false
	}
	return p
}

// socksProxy speaks SOCKS5 with a user and a password (RFC 1928, 1929), and
// answers with a reply code.
func (p *fakeProxy) socksProxy(user, password string, reply byte) *fakeProxy {
	p.handshake = func(c net.Conn, _ *bufio.Reader) bool {
		var b [260]byte
		read := func(n int) []byte {
			if _, err := io.ReadFull(c, b[:n]); err != nil {
				return make([]byte, n)
			}
			return b[:n]
		}
		read(int(read(2)[1])) // the methods
		c.Write([]byte{5, 2})
		gotUser := string(read(int(read(2)[1])))
		gotPassword := string(read(int(read(1)[0])))
		if gotUser != user || gotPassword != password {
			c.Write([]byte{1, 1})
			return false
		}
		c.Write([]byte{1, 0})
		if read(4)[3] != 3 { // a name, for the proxy to look up
			return false
		}
		host := string(read(int(read(1)[0])))
		port := binary.BigEndian.Uint16(read(2))
		p.note(net.JoinHostPort(host, itoa(port)))
		c.Write([]byte{5, reply, 0, 1, 0, 0, 0, 0, 0, 0})
		return reply == 0
	}
	return p
}

func itoa(port uint16) string {
	_, text, _ := net.SplitHostPort((&net.TCPAddr{Port: int(port)}).String())
	return text
}

func (p *fakeProxy) at(scheme, userinfo string) string {
	return scheme + "://" + userinfo + p.ln.Addr().String()
}

// onlyProxy fails to dial anything else.
func onlyProxy(t *testing.T, p *fakeProxy) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != p.ln.Addr().String() {
			t.Errorf("%s was dialled directly", address)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// TestThroughProxies shares through every kind of proxy, with credentials that
// need escaping in a URL.
func TestThroughProxies(t *testing.T) {
	const userinfo = "j%40ne:p%3Aw%2F@"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("j@ne:p:w/"))
	for name, test := range map[string]struct {
		variable, scheme string
		make             func(*fakeProxy) *fakeProxy
	}{
		"http":   {"HTTPS_PROXY", "http", func(p *fakeProxy) *fakeProxy { return p.connectProxy(basic) }},
		"https":  {"https_proxy", "https", func(p *fakeProxy) *fakeProxy { return p.connectProxy(basic) }},
		"socks5": {"ALL_PROXY", "socks5", func(p *fakeProxy) *fakeProxy { return p.socksProxy("j@ne", "p:w/", 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t).start(nil)
			p := &fakeProxy{t: t, relay: r.ln.Addr().String()}
			if test.scheme == "https" {
				cert := r.ca.leaf(t, "127.0.0.1", time.Time{})
				p.cert = &cert
			}
			test.make(p).start()
			opts := optionsFor(r)
			opts.Getenv = env{test.variable: p.at(test.scheme, userinfo)}.get
			a := &running{t: t, states: make(chan State, 1000), ended: make(chan error, 1)}
			opts.Notify = func(s State) { a.states <- s }
			a.Agent = prepare(opts)
			a.dialer.dial, a.dialer.proxyRoots = onlyProxy(t, p), r.ca.pool()
			a.begin()
			go echo(a.Agent)
			visit(t, r.session(), strings.Repeat("through the proxy ", 10_000))
			if want := opts.Relay; !strings.HasPrefix(p.first(), want) {
				t.Errorf("the proxy was asked for %q, want %s", p.first(), want)
			}
		})
	}
}

// TestProxyErrors is every way a proxy says no.
func TestProxyErrors(t *testing.T) {
	for name, test := range map[string]struct {
		make           func(*fakeProxy) *fakeProxy
		scheme, user   string
		reason         Reason
		text, fix      string
		secret         string
		closedListener bool
	}{
		"no credentials":    {make: func(p *fakeProxy) *fakeProxy { return p.connectProxy("Basic eA==") }, scheme: "http", reason: ReasonProxyAuth, text: "it requires a user name and a password", fix: "export HTTPS_PROXY=http://USER:PASSWORD@127.0.0.1"},
		"wrong credentials": {make: func(p *fakeProxy) *fakeProxy { return p.connectProxy("Basic eA==") }, scheme: "http", user: "me:hunter2@", secret: "hunter2", reason: ReasonProxyAuth, text: "it does not accept the user name and the password of HTTPS_PROXY", fix: "correct them"},
		"only Negotiate": {make: func(p *fakeProxy) *fakeProxy {
			return p.answering("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM abc\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n")
		}, scheme: "http", user: "me:x@", reason: ReasonProxyAuth, text: "NTLM or Negotiate, and only Basic is known here", fix: "cntlm"},
		"forbidden": {make: func(p *fakeProxy) *fakeProxy {
			return p.answering("HTTP/1.1 403 Category: Tun\x07nels\r\nContent-Length: 0\r\n\r\n")
		}, scheme: "http", reason: ReasonProxyForbid, text: "it forbids that (403 Category: Tun?nels)", fix: "allow CONNECT to " + relayName + ":"},
		"unreachable from there": {make: func(p *fakeProxy) *fakeProxy {
			return p.answering("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
		}, scheme: "http", reason: ReasonProxy, text: "it answers 503 Service Unavailable", fix: "whether the proxy can reach it"},
		"no proxy":        {make: func(p *fakeProxy) *fakeProxy { return p.answering("SSH-2.0-x\r\n") }, scheme: "http", reason: ReasonProxy, text: "its answer cannot be read", fix: "check HTTPS_PROXY"},
		"silent":          {make: func(p *fakeProxy) *fakeProxy { return p.answering("") }, scheme: "http", reason: ReasonProxy, text: "the other end closed the connection", fix: "check HTTPS_PROXY"},
		"eager":           {make: func(p *fakeProxy) *fakeProxy { return p.answering("HTTP/1.1 200 OK\r\n\r\nsurprise") }, scheme: "http", reason: ReasonProxy, text: "sent data too early", fix: "check HTTPS_PROXY"},
		"not there":       {make: func(p *fakeProxy) *fakeProxy { return p.answering("") }, scheme: "http", closedListener: true, reason: ReasonProxy, text: "cannot connect to the proxy 127.0.0.1", fix: "unset it if this network needs no proxy"},
		"plain for TLS":   {make: func(p *fakeProxy) *fakeProxy { return p.answering("") }, scheme: "https", reason: ReasonProxy, text: "the TLS handshake with it failed", fix: "check HTTPS_PROXY"},
		"SOCKS password":  {make: func(p *fakeProxy) *fakeProxy { return p.socksProxy("a", "b", 0) }, scheme: "socks5", user: "a:c@", reason: ReasonProxyAuth, text: "authentication failed", fix: "socks5://USER:PASSWORD@"},
		"SOCKS forbidden": {make: func(p *fakeProxy) *fakeProxy { return p.socksProxy("a", "b", 2) }, scheme: "socks5", user: "a:b@", reason: ReasonProxyForbid, text: "not allowed", fix: "allow " + relayName},
		"SOCKS no host":   {make: func(p *fakeProxy) *fakeProxy { return p.socksProxy("a", "b", 4) }, scheme: "socks5", user: "a:b@", reason: ReasonProxy, text: "host unreachable", fix: "whether that proxy may reach the relay"},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.make(&fakeProxy{t: t, relay: "127.0.0.1:1"}).start()
			if test.closedListener {
				p.ln.Close()
			}
			d, err := newDialer(Options{Relay: relayName, Getenv: env{"HTTPS_PROXY": p.at(test.scheme, test.user)}.get})
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.lane(t.Context())
			wants(t, err, test.reason, test.text, test.fix)
			if all := err.Error() + asError(err).Fix; test.secret != "" && strings.Contains(all, test.secret) {
				t.Errorf("the password is told: %s", all)
			}
		})
	}
}

// TestProxyFor is what the environment means.
func TestProxyFor(t *testing.T) {
	for name, test := range map[string]struct {
		env   env
		relay string
		want  string // "" for none
		fails string
	}{
		"none":                {env{}, relayName, "", ""},
		"one":                 {env{"HTTPS_PROXY": "http://proxy.example:3128"}, relayName, "proxy.example:3128", ""},
		"lower case first":    {env{"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}, relayName, "b:80", ""},
		"before ALL_PROXY":    {env{"ALL_PROXY": "socks5://a", "https_proxy": "https://b"}, relayName, "b:443", ""},
		"ALL_PROXY":           {env{"ALL_PROXY": "socks5h://a"}, relayName, "a:1080", ""},
		"not for plain HTTP":  {env{"HTTP_PROXY": "http://a"}, relayName, "", ""},
		"without scheme":      {env{"HTTPS_PROXY": "proxy:3128"}, relayName, "proxy:3128", ""},
		"NO_PROXY":            {env{"HTTPS_PROXY": "http://a", "NO_PROXY": "x, .example.com"}, relayName, "", ""},
		"another's NO_PROXY":  {env{"HTTPS_PROXY": "http://a", "no_proxy": "example.org"}, relayName, "a:80", ""},
		"NO_PROXY of a port":  {env{"HTTPS_PROXY": "http://a", "NO_PROXY": relayName + ":8443"}, relayName + ":8443", "", ""},
		"this machine":        {env{"HTTPS_PROXY": "http://a"}, "share.localhost:8443", "", ""},
		"this machine's IP":   {env{"HTTPS_PROXY": "http://a"}, "127.0.0.1:8443", "", ""},
		"another kind":        {env{"HTTPS_PROXY": "ftp://me:hunter2@a"}, relayName, "", `of the kind "ftp"`},
		"no URL":              {env{"HTTPS_PROXY": "http://me:hunter2@[x"}, relayName, "", "it names no proxy"},
		"no host":             {env{"https_proxy": "http://:80"}, relayName, "", "it names no proxy"},
		"nothing that can be": {env{"ALL_PROXY": "\x00"}, relayName, "", "it names no proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := parseTarget(test.relay)
			if err != nil {
				t.Fatal(err)
			}
			p, err := proxyFor(target, test.env.get)
			if test.fails != "" {
				wants(t, err, ReasonProxy, test.fails, "http://USER:PASSWORD@HOST:PORT")
				if strings.Contains(err.Error(), "hunter2") {
					t.Error("the password is told")
				}
				return
			}
			got := ""
			if p != nil {
				got = p.String()
			}
			if got != test.want || err != nil {
				t.Errorf("the proxy is %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// TestDial connects to a server that is not a relay, through the proxy that the
// environment names.
func TestDial(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			c.Close()
		}
	}()
	p := (&fakeProxy{t: t, relay: ln.Addr().String()}).connectProxy("").start()
	for address, getenv := range map[string]func(string) string{
		ln.Addr().String():   env{}.get,
		"ssh.example.com:22": env{"ALL_PROXY": p.at("http", "")}.get,
	} {
		c, err := Dial(t.Context(), address, getenv)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		c.Close()
		if string(text) != "hello" {
			t.Errorf("%s says %q, %v", address, text, err)
		}
	}
	if got, want := p.first(), "ssh.example.com:22 ssh.example.com:22"; got != want {
		t.Errorf("the proxy was asked for %q, want %q", got, want)
	}
	// The first that the server says may come with the proxy's answer.
	eager := (&fakeProxy{t: t}).answering("HTTP/1.1 200 OK\r\nVia: proxy\r\n\r\nhello").start()
	c, err := Dial(t.Context(), "ssh.example.com:22", env{"https_proxy": eager.at("http", "")}.get)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c); string(text) != "hello" {
		t.Errorf("through an eager proxy it says %q, %v", text, err)
	}
	c.Close()

	ln.Close()
	_, err = Dial(t.Context(), ln.Addr().String(), nil)
	wants(t, err, ReasonRefused, "cannot connect to "+ln.Addr().String(), "check the port")
}
