package check

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
)

// wants fails unless there is a finding of a check with a state, and all texts in its
// detail and fix.
func wants(t *testing.T, found []doctor.Finding, check string, state doctor.State, texts ...string) {
	t.Helper()
	for _, f := range found {
		all := f.Detail + "\n" + f.Fix
		if f.Check == check && f.State == state && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) }) {
			return
		}
	}
	t.Errorf("no finding %q, %q with %q in\n%s", check, state, texts, listing(found))
}

func listing(found []doctor.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s %s: %s | %s\n", f.Group, f.Check, f.State, f.Detail, f.Fix)
	}
	return b.String()
}

func counted(found []doctor.Finding, state doctor.State) (n int) {
	for _, f := range found {
		if f.State == state {
			n++
		}
	}
	return n
}

// TestAShareThatWorks has no fault, and each step says so.
func TestAShareThatWorks(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost", "admin.shop.localhost")
	found := e.check(s)
	if counted(found, doctor.Fine) != len(found) {
		t.Errorf("not all is fine:\n%s", listing(found))
	}
	for _, step := range []string{"address", "certificate", "request", "WebSocket", "stream", "upload", "redirect", "cookie", "preflight", "page"} {
		wants(t, found, step, doctor.Fine)
	}
	for _, f := range found {
		if strings.Contains(f.Detail+f.Fix, token) {
			t.Errorf("the token is in a text: %s", f.Detail)
		}
	}
}

// TestEachFaultOfTheWay has its own line, with where and what to do.
func TestEachFaultOfTheWay(t *testing.T) {
	late := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "data: first\n\ndata: late\n\n")
	}
	for name, test := range map[string]struct {
		path   string
		answer http.HandlerFunc
		check  string
		texts  []string
	}{
		"no WebSocket":          {at("socket"), status(http.StatusBadRequest), "WebSocket", []string{"400 Bad Request", "Connection: Upgrade"}},
		"a WebSocket that ends": {at("socket"), closing, "WebSocket", []string{"relay: "}},
		"a stream collected":    {at("stream"), late, "stream", []string{"collected", "buffering"}},
		"no stream":             {at("stream"), page(""), "stream", []string{"ended early"}},
		"a small limit":         {at("upload"), status(http.StatusRequestEntityTooLarge), "upload", []string{"413", "raise the limit"}},
		"a body cut":            {at("upload"), page(`{"local":"x","bytes":7}`), "upload", []string{"7 of 1048576 bytes"}},
		"a local redirect": {at("redirect"), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://shop.localhost/")
			w.WriteHeader(http.StatusFound)
		}, "redirect", []string{"leads to https://shop.localhost/"}},
		"no cookies":     {at("cookie"), page(`{"local":"x","set_cookie":"lost"}`), "cookie", []string{"does not come back"}},
		"no OPTIONS":     {at("request"), onlyGet, "preflight", []string{"405", "OPTIONS"}},
		"another origin": {at("request"), otherOrigin, "preflight", []string{`"https://else.example"`}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := startEdge(t, nil, "shop.localhost")
			e.on(test.path, test.answer)
			found := e.check(s)
			wants(t, found, test.check, doctor.Fault, test.texts...)
			if counted(found, doctor.Fault) != 1 {
				t.Errorf("not one fault:\n%s", listing(found))
			}
		})
	}
}

func closing(w http.ResponseWriter, r *http.Request) {
	if conn, err := websocket.Accept(w, r, nil); err == nil {
		_ = conn.CloseNow()
	}
}

func onlyGet(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	_, _ = io.WriteString(w, `{"local":"shop.localhost"}`)
}

func otherOrigin(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Origin", "https://else.example")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	onlyGet(w, r)
}

// TestARelayThatDoesNotDeliver ends the check of that host, with the reason.
func TestARelayThatDoesNotDeliver(t *testing.T) {
	for code, texts := range map[int][]string{
		http.StatusServiceUnavailable: {"agent: ", "devproxy status"},
		http.StatusNotFound:           {"knows no share"},
		http.StatusGone:               {"the link has ended", "new link"},
		http.StatusMisdirectedRequest: {"not a name of this share"},
		http.StatusForbidden:          {"relay: ", "403"},
		http.StatusOK:                 {"relay: ", "200"}, // a page of something else
	} {
		e, s := startEdge(t, nil, "shop.localhost", "admin.shop.localhost")
		e.on("host0 "+at("request"), status(code))
		found := e.check(s)
		wants(t, found, "request", doctor.Fault, append(texts, "shop.localhost: ")...)
		wants(t, found, "request", doctor.Fine, "admin.shop.localhost: ") // it continues with the others
		wants(t, found, "upload", doctor.Fine)
	}
}

// TestCertificates that visitors refuse, or will soon.
func TestCertificates(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		state  doctor.State
		texts  []string
	}{
		"another name": {func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} }, doctor.Fault, []string{"relay: ", "other.example", "host0.share.localhost", "--cert FILE"}},
		"expired":      {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, doctor.Fault, []string{"has expired", "the relay's log"}},
		"from now on":  {func(c *x509.Certificate) { c.NotBefore = time.Now().Add(48 * time.Hour) }, doctor.Fault, []string{"is valid from", "clock"}},
		"soon":         {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * time.Hour) }, doctor.Warning, []string{"not renewed"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := startEdge(t, test.change, "shop.localhost")
			wants(t, e.check(s), "certificate", test.state, test.texts...)
		})
	}
	e, s := startEdge(t, nil, "shop.localhost")
	s.Roots = x509.NewCertPool()
	found := e.check(s)
	wants(t, found, "certificate", doctor.Fault, `"a test CA"`, "do not trust")
	if len(found) != 2 {
		t.Errorf("it goes on after that:\n%s", listing(found))
	}
}

// TestARelayThatIsDown is named as such.
func TestARelayThatIsDown(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	e.Close()
	wants(t, e.check(s), "connection", doctor.Fault, "relay: the connection is refused", "start the relay")
}

// TestClocks that differ are named: links would expire at another time than expected.
func TestClocks(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	wants(t, e.check(s), "clock", doctor.Fine)
	e, s = startEdge(t, nil, "shop.localhost")
	e.on("devproxy-check /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusMisdirectedRequest)
	})
	wants(t, e.check(s), "clock", doctor.Warning, "differ by 1h0m", "clock")
}

// TestNames without an address, which no resolver knows (RFC 6761 section 6.4).
func TestNames(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	s.Share.Hosts = []control.SharedHost{{Name: "shop.localhost", URL: "https://shop.devproxy.invalid"}}
	s.Share.URL = s.Share.Hosts[0].URL
	found := e.check(s)
	if len(found) != 1 || found[0].State != doctor.Fault || found[0].Check != "address" {
		t.Errorf("a name that does not exist:\n%s", listing(found))
	}
}

// TestPages as visitors see them.
func TestPages(t *testing.T) {
	waiting := []control.Host{{Name: "shop.localhost", Routes: []control.Route{{Path: "/", Upstream: ":5173", State: control.StateWaiting}}}}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		change func(*Subject)
		check  string
		state  doctor.State
		texts  []string
	}{
		"upstream down":     {status(http.StatusBadGateway), func(s *Subject) { s.Hosts = waiting }, "page", doctor.Fault, []string{"upstream: nothing answers at :5173", "start the server behind :5173"}},
		"an error":          {status(http.StatusInternalServerError), nil, "page", doctor.Fault, []string{"500", "devproxy logs"}},
		"no page":           {status(http.StatusNotFound), nil, "page", doctor.Fine, []string{"404"}},
		"to localhost":      {to("http://localhost:3000/login"), nil, "page", doctor.Fault, []string{"http://localhost:3000/login", "port 3000"}},
		"to its local name": {to("https://shop.localhost/login"), nil, "page", doctor.Fault, []string{"https://shop.localhost/login", "paths"}},
		"to a host not shared": {to("https://auth.localhost/"), func(s *Subject) {
			s.Share.NotShared = []control.NotShared{{Name: "auth.localhost", Reason: "share = false"}}
		}, "page", doctor.Fault, []string{"devproxy share auth.localhost", "share = false"}},
		"to a provider": {to("https://login.example/"), nil, "page", doctor.Fine, []string{"leads to login.example"}},
		"to itself":     {to("/"), nil, "page", doctor.Fault, []string{"more than 20 times"}},
		"local URLs":    {page(`<script src="http://127.0.0.1:5173/a.js"></script>`), nil, "local URLs", doctor.Warning, []string{"127.0.0.1:5173", "port 5173"}},
		"escaped":       {page(`{"api":"https:\/\/api.localhost\/v1"}`), nil, "local URLs", doctor.Warning, []string{"api.localhost"}},
		"a password":    {status(http.StatusUnauthorized), func(s *Subject) { s.Share.Password = true }, "page", doctor.Unknown, []string{"password"}},
		"not allowed":   {status(http.StatusForbidden), func(s *Subject) { s.Share.Allow = []string{"203.0.113.0/24"} }, "page", doctor.Unknown, []string{"allow"}},
		"Vite's port":   {page(`<script src="/@vite/client">`), nil, "hot reload", doctor.Fault, []string{"port 24678", "server.hmr.port"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := startEdge(t, nil, "shop.localhost")
			e.on("/", test.answer)
			e.on("/@vite/client", page(`const hmrPort = 24678`))
			if test.change != nil {
				test.change(s)
			}
			wants(t, e.check(s), test.check, test.state, test.texts...)
		})
	}
}

func to(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
}

// TestThePageOfASharedPath is opened where no other path is shared.
func TestThePageOfASharedPath(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	e.on("/", status(http.StatusInternalServerError))
	s.Share.Paths = []string{"/docs"}
	wants(t, e.check(s), "page", doctor.Fine, "200")
}

// TestHotReload opens Vite's socket as its client does.
func TestHotReload(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	e.on("/", page(`<script type="module" src="/@vite/client"></script>`))
	e.on("/@vite/client", page("const hmrPort = null;\nconst socketHost = `${null || importMetaUrl.hostname}:${hmrPort || importMetaUrl.port}${\"/hmr\"}`;\nconst wsToken = \"a+b\";"))
	asked := make(chan *http.Request, 1)
	e.on("/hmr", func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		if conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"vite-hmr"}}); err == nil {
			_, _, _ = conn.Read(r.Context())
		}
	})
	wants(t, e.check(s), "hot reload", doctor.Fine, "Vite")
	if r := <-asked; r.URL.Query().Get("token") != "a+b" || r.Header.Get("Origin") != e.hosts[0].URL || r.Header.Get("Sec-WebSocket-Protocol") != "vite-hmr" {
		t.Errorf("asked with %s, %v", r.URL, r.Header)
	}
	e.on("/hmr", status(http.StatusForbidden))
	e, s = startEdge(t, nil, "shop.localhost")
	e.on("/", page(`<script type="module" src="/@vite/client"></script>`))
	e.on("/@vite/client", page("export {}"))
	wants(t, e.check(s), "hot reload", doctor.Fault, "Vite")
}

// TestCookiesOfSeveralHosts that each host has for itself are named.
func TestCookiesOfSeveralHosts(t *testing.T) {
	cookie := func(domain string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Domain: domain})
		}
	}
	e, s := startEdge(t, nil, "shop.localhost", "admin.shop.localhost")
	e.on("/", cookie(""))
	e.on("/local", cookie("shop.localhost"))
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	s.Local, s.Hosts = &http.Client{Transport: transport}, []control.Host{{Name: "shop.localhost", URL: e.hosts[0].URL + "/local"}}
	wants(t, e.check(s), "cookies", doctor.Warning, `"session"`, `cookies = "shared"`)
	e.on("/local", cookie(""))
	for _, f := range e.check(s) {
		if f.Check == "cookies" {
			t.Errorf("a cookie of one host: %s", f.Detail)
		}
	}
}

// TestProviders say what they do not support, and what fails there is a warning.
func TestProviders(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	s.Share.Relay, s.Share.Operator, s.Share.Cannot = "cloudflare", "Cloudflare", []string{"event streams (SSE)"}
	e.on(at("stream"), page(""))
	found := e.check(s)
	wants(t, found, "limits", doctor.Warning, "cloudflare does not support event streams (SSE)")
	wants(t, found, "stream", doctor.Warning, "cloudflare: ", "a relay of your own")
	if counted(found, doctor.Fault) != 0 {
		t.Errorf("a fault:\n%s", listing(found))
	}
}

// TestWildcards are asked by a label, and have no page of their own.
func TestWildcards(t *testing.T) {
	e, s := startEdge(t, nil, "*.shop.localhost")
	s.Share.Hosts[0].URL = strings.Replace(s.Share.Hosts[0].URL, "host0", "*", 1)
	s.Share.URL = s.Share.Hosts[0].URL
	found := e.check(s)
	wants(t, found, "address", doctor.Fine, wildLabel+".share.localhost")
	if counted(found, doctor.Fault) != 0 || slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Check == "page" }) {
		t.Errorf("%s", listing(found))
	}
}
