//go:build e2e

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// domainRelay is the relay's domain. Its names are loopback.
	domainRelay = "t.relay.localhost"
	// edgeAddress is where an edge connects from, edgeVisitor a visitor of it, and
	// strangerAddress one that avoids it.
	edgeAddress, edgeVisitor, strangerAddress = "127.0.0.5", "127.0.0.77", "127.0.0.9"
)

// domainSite is a share with usersDomain, its relay, and an edge in front of that.
type domainSite struct {
	*sharedProject
	t       *testing.T
	records *usersDNS
	process *relayProcess
	edge    *nginxEdge
	app     *app
	trusted *x509.CertPool
}

// startDomainSite shares a project with usersDomain, whose record does not exist yet.
func startDomainSite(t *testing.T) *domainSite {
	t.Helper()
	s := &domainSite{t: t, records: startUsersDNS(t), edge: newNginxEdge(t)}
	dir := shortDir(t)
	cert, key := writeCert(t, dir, "relay", domainRelay, "*."+domainRelay, usersDomain)
	s.trusted = rootsOf(t, cert)
	s.process = startRelay(t, dir, "--domain", domainRelay, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--public-port", s.edge.port,
		"--cert", cert, "--key", key, "--token", relayToken, "--trusted-proxies", edgeAddress)
	s.edge.start(cert, key, s.process)
	s.app = startApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/socket" {
			html(w, "hello")
			return
		}
		if c, err := websocket.Accept(w, r, nil); err == nil {
			defer func() { _ = c.CloseNow() }()
			if kind, text, err := c.Read(r.Context()); err == nil {
				_ = c.Write(r.Context(), kind, text)
			}
		}
	})
	s.sharedProject = loggedIn(s.process, domainRelay, s.trusted).share(t, projectDir(t, fmt.Sprintf(
		"host \"shop.localhost\" { upstream = %q }\nhost \"admin.shop.localhost\" { upstream = %[1]q }\nshare {\n  domain = %q\n  allow  = [%q]\n}\n",
		s.app.URL, usersDomain, edgeVisitor)), nil)
	return s
}

// loggedIn returns a relay that is known by its pin in a home of its own, for projects to
// share through.
func loggedIn(p *relayProcess, domain string, roots *x509.CertPool) *devRelay {
	p.t.Helper()
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	r := &devRelay{upProcess: &upProcess{}, listen: p.addr, name: domain + ":" + port}
	r.home, r.state, r.env = privateState(p.t)
	r.roots = roots
	if _, err := localca.Open(r.state); err != nil { // the user's CA, which the pin does not use
		p.t.Fatal(err)
	}
	login := exec.Command(devproxyBinary(p.t), "relay", "login", r.name, "--token", relayToken, "--pin", agent.Pin(p.leaf(domain, roots)))
	login.Env = r.env
	if said, err := login.CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, said)
	}
	return r
}

// visitor is a browser that connects from one address to another, whatever the name.
func (s *domainSite) visitor(from, to string) *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.trusted},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(ctx, network, to)
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: patience}
}

// domain returns the domain of the share as `devproxy status --json` prints it.
func (p *sharedProject) domain() *control.Domain {
	p.t.Helper()
	share := p.status().Share
	if share == nil || share.Domain == nil {
		p.t.Fatalf("status prints the share %+v, without a domain", share)
	}
	return share.Domain
}

// TestE2EShareDomain: a share with a domain works under a name of the relay until the record
// is there, and then at the domain, through an edge that ends TLS. Its allow counts the
// visitor's own address there, and no field of a visitor changes that.
func TestE2EShareDomain(t *testing.T) {
	s := startDomainSite(t)
	waiting := s.domain()
	if waiting.State != control.DomainUnproven || waiting.Host != "shop.localhost" || !strings.HasSuffix(waiting.Target, ".s."+domainRelay) || !strings.Contains(waiting.Error, waiting.Target) {
		t.Fatalf("without a record: %+v", waiting)
	}
	if !strings.HasSuffix(s.base(), "."+domainRelay+":"+s.edge.port) || strings.Contains(s.link, "?") {
		t.Errorf("without a record, the link is %s", s.link)
	}
	if got := ask(t, s.visitor(edgeVisitor, s.process.addr), "GET", s.link+"/", ""); got.status != http.StatusOK || !strings.Contains(got.body, "hello") {
		t.Errorf("without a record: %d %s", got.status, got.body)
	}
	old := s.link

	// A proxied name has no CNAME that others can see.
	s.records.set(t, "_devproxy."+usersDomain+`. 1 TXT "`+waiting.Target+`"`, usersDomain+". 1 A 192.0.2.1")
	s.awaitLink()
	if !strings.HasPrefix(s.link, "https://"+usersDomain+":"+s.edge.port+"/?") || !strings.HasSuffix(s.host("admin.shop.localhost"), "."+domainRelay+":"+s.edge.port) {
		t.Fatalf("with a record, the link is %s of %v", s.link, s.hosts)
	}
	if d := s.domain(); d.State != control.DomainUp || d.Error != "" {
		t.Errorf("with a record: %+v", d)
	}
	if got := ask(t, s.visitor(edgeVisitor, s.process.addr), "GET", old+"/", ""); got.status == http.StatusOK {
		t.Errorf("the address before: %d %s", got.status, got.body)
	}

	guest := s.visitor(edgeVisitor, s.edge.address)
	if got := ask(t, guest, "GET", s.base()+"/", ""); got.status == http.StatusOK {
		t.Errorf("without the link's secret: %d %s", got.status, got.body)
	}
	if got := ask(t, guest, "GET", s.link, ""); got.status != http.StatusOK || !strings.Contains(got.body, "hello") {
		t.Fatalf("through the edge: %d %s", got.status, got.body)
	}
	s.socket(guest)

	forged := []string{"X-Forwarded-For", edgeVisitor, "Cf-Connecting-Ip", edgeVisitor, "X-Real-Ip", edgeVisitor}
	for name, to := range map[string]string{"the edge": s.edge.address, "the relay itself": s.process.addr} {
		stranger := s.visitor(strangerAddress, to)
		if got := ask(t, stranger, "GET", s.link, "", forged...); got.status != http.StatusForbidden {
			t.Errorf("a stranger through %s with forged fields: %d %s", name, got.status, got.body)
		}
	}
	s.schemes()
}

// socket opens a WebSocket through the edge, as a visitor that has passed the gate.
func (s *domainSite) socket(guest *http.Client) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	client := *guest
	client.Timeout = 0
	c, _, err := websocket.Dial(ctx, strings.Replace(s.base(), "https:", "wss:", 1)+"/socket", &websocket.DialOptions{
		HTTPClient: &client, HTTPHeader: http.Header{"Origin": {s.base()}},
	})
	if err != nil {
		s.t.Fatalf("a WebSocket: %v", err)
	}
	defer func() { _ = c.CloseNow() }()
	if err := c.Write(ctx, websocket.MessageText, []byte("echo")); err != nil {
		s.t.Fatal(err)
	}
	if _, text, err := c.Read(ctx); err != nil || string(text) != "echo" {
		s.t.Errorf("a WebSocket: %q, %v", text, err)
	}
}

// schemes checks what visitors over plain HTTP get, and those of an edge that connects over
// it.
func (s *domainSite) schemes() {
	s.t.Helper()
	client := s.visitor(edgeVisitor, s.edge.plain)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got := ask(s.t, client, "GET", "http://"+usersDomain+"/x?y", "")
	if want := "https://" + usersDomain + ":" + s.edge.port + "/x?y"; got.status != http.StatusPermanentRedirect || got.header.Get("Location") != want {
		s.t.Errorf("plain HTTP: %d, to %q", got.status, got.header.Get("Location"))
	}
	if got = ask(s.t, s.visitor(edgeVisitor, s.edge.flexible), "GET", s.base()+"/", ""); got.status != http.StatusMisdirectedRequest || !strings.Contains(got.body, "Full (strict)") {
		s.t.Errorf("an edge without TLS: %d %s", got.status, got.body)
	}
}

// nginxEdge is nginx as a proxy that ends TLS in front of a relay.
type nginxEdge struct {
	t         *testing.T
	listeners []net.Listener // for visitors over TLS, over plain HTTP, and over TLS without TLS to the relay
	// address, plain and flexible are theirs; port is address's.
	address, plain, flexible, port string
}

// newNginxEdge opens the sockets of an edge.
func newNginxEdge(t *testing.T) *nginxEdge {
	t.Helper()
	e := &nginxEdge{t: t}
	for _, address := range []*string{&e.address, &e.plain, &e.flexible} {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		e.listeners, *address = append(e.listeners, ln), ln.Addr().String()
	}
	_, e.port, _ = net.SplitHostPort(e.address)
	return e
}

// start runs nginx until the test ends.
func (e *nginxEdge) start(cert, key string, relay *relayProcess) {
	e.t.Helper()
	program, dir := needTool(e.t, "nginx"), shortDir(e.t)
	server := func(listen, upstream string) string {
		return fmt.Sprintf(`
  server {
    listen %s;
    ssl_certificate %s;
    ssl_certificate_key %s;
    location / {
      proxy_pass %s;
      proxy_ssl_server_name on;
      proxy_ssl_name $host;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate %[2]s;
      proxy_bind %[5]s;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }`, listen, cert, key, upstream, edgeAddress)
	}
	config := `
daemon off;
worker_processes 1;
pid ` + dir + `/pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path ` + dir + `/body;
  proxy_temp_path ` + dir + `/proxy;
  fastcgi_temp_path ` + dir + `/fastcgi;
  uwsgi_temp_path ` + dir + `/uwsgi;
  scgi_temp_path ` + dir + `/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; "" close; }` +
		server(e.address+" ssl", "https://"+relay.addr) + server(e.plain, "https://"+relay.addr) + server(e.flexible+" ssl", "http://"+relay.http) + "\n}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		e.t.Fatal(err)
	}
	var said outputBuffer
	cmd := exec.Command(program, "-p", dir, "-c", file, "-e", "stderr")
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "NGINX=3;4;5;") // the sockets that it inherits
	for _, ln := range e.listeners {
		socket, err := ln.(*net.TCPListener).File()
		if err != nil {
			e.t.Fatal(err)
		}
		defer socket.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, socket)
	}
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		over := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer over.Stop()
		_ = cmd.Wait() // stopped
		if e.t.Failed() {
			e.t.Logf("nginx says:\n%s", said.String())
		}
	})
}
