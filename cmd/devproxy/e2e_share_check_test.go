//go:build e2e && unix

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/devproxy/doctor"
	"github.com/devproxy/devproxy/localca"
)

// middlebox is what companies and hosters put in front of a relay: it ends TLS, forwards,
// and spoils something.
type middlebox struct {
	*httptest.Server
	spoil atomic.Pointer[spoiled]
}

// spoiled is what a middlebox does wrong.
type spoiled struct {
	request  func(w http.ResponseWriter, r *http.Request) (answered bool)
	response func(*http.Response) error
	name     string // of its certificate
}

// startMiddlebox starts a dev relay behind a middlebox, whose port is that of the links.
func startMiddlebox(t *testing.T) (*middlebox, *devRelay) {
	t.Helper()
	m := &middlebox{}
	m.spoil.Store(&spoiled{})
	m.Server = httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(m.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	relay := startDevRelay(t, "--public-port", port)
	ca, err := localca.Load(relay.state)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: relay.roots, MinVersion: tls.VersionTLS12},
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return relay.dial(ctx) },
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: r.In.Host}) // the name of the handshake
		},
		ModifyResponse: func(res *http.Response) error {
			if f := m.spoil.Load().response; f != nil {
				return f(res)
			}
			return nil
		},
	}
	m.Config.ErrorLog = log.New(io.Discard, "", 0)
	m.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := m.spoil.Load().request; f == nil || !f(w, r) {
			proxy.ServeHTTP(w, r)
		}
	})
	m.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		name := m.spoil.Load().name
		if name == "" {
			name = "*.share.localhost"
		}
		leaf, err := ca.Issue(name)
		if err != nil {
			return nil, err
		}
		return &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12}, nil
	}}
	m.StartTLS()
	t.Cleanup(func() {
		m.CloseClientConnections()
		m.Close()
		transport.CloseIdleConnections()
	})
	return m, relay
}

// checkShare runs `devproxy share --check` and returns its findings and exit code.
func checkShare(t *testing.T, p *sharedProject) (found []doctor.Finding, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), devproxyBinary(t), "share", "--check", "--json")
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var f doctor.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		found = append(found, f)
	}
	return found, cmd.ProcessState.ExitCode()
}

// TestShareCheckFindsEachFault between the visitor and the project, made on purpose, and
// says where it is and what helps.
func TestShareCheckFindsEachFault(t *testing.T) {
	middle, relay := startMiddlebox(t)
	var answer atomic.Pointer[http.HandlerFunc]
	app := startApp(t, func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) })
	page := func(f http.HandlerFunc) { answer.Store(&f) }
	fine := func(w http.ResponseWriter, _ *http.Request) { html(w, "fine") }
	page(fine)
	dir := projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nhost \"mail.shop.localhost\" {\n  share = false\n  respond = 204\n}\n", app.URL))
	p := relay.share(t, dir, nil)

	want := func(what, check string, texts ...string) {
		t.Helper()
		found, code := checkShare(t, p)
		listing := ""
		for _, f := range found {
			text := f.Detail + "\n" + f.Fix
			ok := f.Check == check && f.State == doctor.Fault
			for _, part := range texts {
				ok = ok && strings.Contains(text, part)
			}
			if ok && code == 1 {
				return
			}
			listing += fmt.Sprintf("%s %s %s: %s | %s\n", f.Group, f.Check, f.State, f.Detail, f.Fix)
		}
		t.Errorf("%s: exit code %d, and no fault of %q with %q in\n%s", what, code, check, texts, listing)
	}
	if found, code := checkShare(t, p); code != 0 || len(found) < 10 {
		t.Fatalf("a share that works: exit code %d, %+v", code, found)
	}

	middle.spoil.Store(&spoiled{name: "other.share.localhost"})
	want("a wrong certificate", "certificate", "relay: ", "other.share.localhost")
	middle.spoil.Store(&spoiled{request: func(w http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Upgrade")
		r.Header.Del("Connection")
		return false
	}})
	want("no WebSockets", "WebSocket", "relay: ", "Upgrade")
	middle.spoil.Store(&spoiled{response: func(res *http.Response) error {
		if res.StatusCode == http.StatusSwitchingProtocols {
			return nil
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		res.Body = io.NopCloser(strings.NewReader(string(text)))
		return err
	}})
	want("a stream that is collected", "stream", "relay: ", "collected", "buffering")
	middle.spoil.Store(&spoiled{request: func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength > 1<<20 || r.ContentLength < 0 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		return false
	}})
	want("a limit for bodies", "upload", "relay: ", "413", "raise the limit")
	middle.spoil.Store(&spoiled{request: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodOptions
	}})
	want("no OPTIONS", "preflight", "405")
	middle.spoil.Store(&spoiled{response: func(res *http.Response) error {
		res.Header.Del("Set-Cookie")
		return nil
	}})
	want("no cookies", "cookie", "does not come back")
	middle.spoil.Store(&spoiled{response: func(res *http.Response) error {
		if res.Header.Get("Location") != "" {
			res.Header.Set("Location", "https://internal.example/")
		}
		return nil
	}})
	want("a redirect elsewhere", "redirect", "https://internal.example/")
	middle.spoil.Store(&spoiled{request: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}})
	want("nobody behind the name", "request", "agent: ", "503", "devproxy status")

	middle.spoil.Store(&spoiled{})
	page(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://localhost:3000/login", http.StatusFound)
	})
	want("a redirect to the visitor's machine", "page", "http://localhost:3000/login", "port 3000")
	page(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://mail.shop.localhost/", http.StatusFound)
	})
	want("a host that is not shared", "page", "mail.shop.localhost", "share = false")
	page(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	want("an error of the app", "page", "500")
	app.CloseClientConnections()
	app.Close()
	want("upstream down", "page", "upstream: nothing answers at ", "start the server")
	middle.CloseClientConnections()
	middle.Close()
	want("nothing listens", "connection", "relay: the connection is refused", "start the relay")
}
