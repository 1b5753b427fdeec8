package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/tunnel/page"
)

// secretText is in everything that the page must not tell strangers.
const secretText = "shop"

// answers are those of one project that answers and one that does not.
func answers() []control.Answer {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	return []control.Answer{
		{
			Holder: control.Holder{PID: 42, Folder: "/home/ann/shop", Started: started},
			Status: control.Status{
				Version: "v9", Worktree: &control.Worktree{Name: "fix/ui"}, HTTPS: "127.0.0.1:443", Shared: true,
				Hosts: []control.Host{
					{Name: "shop.localhost", URL: "https://shop.localhost", File: "Proxyfile", Line: 3, Routes: []control.Route{
						{Path: "/", Upstream: ":5173", State: "waiting", Detail: "nothing listens on :5173", Hints: []string{"node (pid 7) listens on 5174"}},
						{Path: "/api", Upstream: ":1, :2", State: "up", Members: []control.Member{
							{Upstream: ":1", State: "up", Active: 3}, {Upstream: ":2", State: "unhealthy", Detail: "status 500", Fallback: true},
						}},
						{Path: "/old", Upstream: "redirect /", State: "ready"},
					}},
					{Name: "*.shop.localhost", URL: "https://*.shop.localhost"},
				},
				Services: []control.Service{
					{Name: "web", State: "ready", PID: 4711, Port: 20123},
					{Name: "api", State: "failed", Exit: "exited with status 1", Next: &started}, {Name: "jobs", State: "waiting", WaitsFor: []string{"web", "api"}},
				},
				Share: &control.Share{
					State: control.ShareUp, Relay: "t.example.com", URL: "https://shop.t.example.com/?devproxy=s3cret", Expires: started, Password: true,
					Hosts: []control.SharedHost{{Name: "shop.localhost", URL: "https://shop.t.example.com"}, {Name: "mail.shop.localhost", URL: "https://mail.t.example.com"}},
				},
				Rejected: &control.Rejected{At: started, Diagnostics: json.RawMessage(`[{"summary":"<b>no</b>","file":"Proxyfile","line":9},{},{},{"summary":"a fourth"}]`)},
			},
		},
		{Holder: control.Holder{PID: 43, Folder: "/home/ann/shop-two", Started: started}, Err: fmt.Errorf("no answer: %w", context.DeadlineExceeded)},
		{Holder: control.Holder{PID: 44, Folder: "/home/ann/shop-old", Started: started}, Err: errors.New("it is another version")},
	}
}

// testPage is a page for a client that is the user's own or not, with a key.
func testPage(t *testing.T, own bool) (p *Page, key string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	p = New(Options{Dir: dir, Version: "v1.2.3", Short: func(path string) string { return strings.Replace(path, "/home/ann", "~", 1) }})
	p.own = func(*http.Request) bool { return own }
	p.all = func(context.Context) ([]control.Answer, error) { return answers(), nil }
	key, _, err := NewKey(dir)
	must(t, err)
	return p, key
}

// ask sends one request with credentials; empty for none.
func ask(p http.Handler, method, path, credentials string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://devproxy.localhost"+path, nil)
	if credentials != "" {
		r.Header.Set("Authorization", credentials)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

const navigation = "text/html,*/*;q=0.8"

func TestAKeyOpensThePage(t *testing.T) {
	p, key := testPage(t, true)
	token := ask(p, "POST", "/token", "Bearer "+key)
	if token.Code != 200 {
		t.Fatalf("the key: %d %s", token.Code, token.Body)
	}
	got := ask(p, "GET", "/projects", "Bearer "+token.Body.String())
	if got.Code != 200 || got.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("the projects: %d %v", got.Code, got.Header())
	}
	body := got.Body.String()
	for _, want := range []string{
		">shop</h2>", "~/shop<", "pid 42, since 2 January 03:04, worktree fix/ui, devproxy v9", `<a href="https://shop.localhost">`, "Proxyfile:3", "<span>https://*.shop.localhost</span>",
		":5173", "waiting", "nothing listens on :5173", "node (pid 7) listens on 5174", "up, 3 in progress", "unhealthy, fallback", "status 500", "redirect /",
		"Shared through t.example.com, until 2 January 03:04, with a password", `href="https://shop.t.example.com/?devproxy=s3cret" rel="noreferrer"`, "https://mail.t.example.com",
		"The save of 03:04 is not served.", "Proxyfile:9 &lt;b&gt;no&lt;/b&gt;", "pid 43", "ready, pid 4711", ":20123", "exited with status 1", "starts again at 03:04:05", "waits for web, api", "fg in its terminal continues it", "It is another version.",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	if strings.Contains(body, "a fourth") || strings.Contains(body, "<b>") || regexp.MustCompile(`\s(style|on[a-z]+)="`).MatchString(body) {
		t.Error("a mistake too many, markup of a project, or an inline attribute, which the policy forbids")
	}
	if t.Failed() {
		t.Log(body)
	}
	p.all = func(context.Context) ([]control.Answer, error) { return nil, errors.New("the folder is closed") }
	if got := ask(p, "GET", "/projects", "Bearer "+token.Body.String()); got.Code != 500 || got.Body.String() != "The folder is closed.\n" {
		t.Errorf("after an error: %d %q", got.Code, got.Body)
	}
}

// TestStrangersLearnTheVersionOnly, whatever they send, and always the same.
func TestStrangersLearnTheVersionOnly(t *testing.T) {
	p, key := testPage(t, true)
	used, _, err := NewKey(p.opts.Dir)
	must(t, err)
	token := ask(p, "POST", "/token", "Bearer "+used).Body.String()
	foreign, foreignKey := testPage(t, false)
	same := ask(p, "GET", "/projects", "")
	if same.Code != 403 || same.Body.String() != "Run `devproxy open` to see this machine's projects.\ndevproxy v1.2.3\n" {
		t.Errorf("without a key: %d %q", same.Code, same.Body)
	}
	for name, got := range map[string]*httptest.ResponseRecorder{
		"a program":               ask(p, "GET", "/", ""),
		"an unknown token":        ask(p, "GET", "/projects", "Bearer "+strings.Repeat("A", 43)),
		"a key as a token":        ask(p, "GET", "/projects", "Bearer "+key),
		"another scheme":          ask(p, "GET", "/projects", "Basic "+token),
		"two tokens":              ask(p, "GET", "/projects", "Bearer "+token, "Authorization", "Bearer "+token),
		"a used key":              ask(p, "POST", "/token", "Bearer "+used),
		"no key":                  ask(p, "POST", "/token", ""),
		"an empty key":            ask(p, "POST", "/token", "Bearer "),
		"a token as a key":        ask(p, "POST", "/token", "Bearer "+token),
		"a cookie":                ask(p, "GET", "/projects", "", "Cookie", "token="+token),
		"another user with a key": ask(foreign, "POST", "/token", "Bearer "+foreignKey),
		"another user":            ask(foreign, "GET", "/projects", "Bearer "+tokenOf(t, foreign)),
	} {
		if got.Code != same.Code || got.Body.String() != same.Body.String() || !cmp.Equal(got.Header(), same.Header()) {
			t.Errorf("%s: %d %q %v", name, got.Code, got.Body, got.Header())
		}
	}
	for name, got := range map[string]*httptest.ResponseRecorder{
		"a key in a query":    ask(p, "GET", "/?"+key, "", "Accept", navigation),
		"a token in a query":  ask(p, "GET", "/projects?token="+token, "", "Accept", navigation),
		"a navigation":        ask(p, "GET", "/", "Bearer "+token, "Accept", navigation),
		"a head":              ask(p, "HEAD", "/", "", "Accept", navigation),
		"another path":        ask(p, "GET", "/shop", "Bearer "+token),
		"a write":             ask(p, "POST", "/projects", "Bearer "+token),
		"a preflight":         ask(p, "OPTIONS", "/projects", "", "Origin", "https://evil.example"),
		"a get for the token": ask(p, "GET", "/token", "Bearer "+key),
	} {
		for field := range got.Header() {
			if strings.HasPrefix(field, "Access-Control-") || field == "Set-Cookie" {
				t.Errorf("%s: %s", name, field)
			}
		}
		if strings.Contains(got.Body.String(), secretText) || strings.Contains(got.Body.String(), key) || strings.Contains(fmt.Sprint(got.Header()), key) {
			t.Errorf("%s tells: %q %v", name, got.Body, got.Header())
		}
	}
	if got := ask(p, "POST", "/token", "Bearer "+key); got.Code != 200 {
		t.Errorf("the key was spent by other requests: %d", got.Code)
	}
}

// tokenOf makes a token.
func tokenOf(t *testing.T, p *Page) string {
	t.Helper()
	token, _, err := p.keys.add(tokenKind)
	must(t, err)
	return token
}

// TestDocumentPolicy: the document is the same with and without a token, allows exactly
// the style and the script that it has, and cannot be framed.
func TestDocumentPolicy(t *testing.T) {
	p, _ := testPage(t, true)
	w := ask(p, "GET", "/", "", "Accept", navigation, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if signedIn := ask(p, "GET", "/", "Bearer "+tokenOf(t, p), "Accept", navigation).Body.String(); w.Code != 200 || signedIn != body {
		t.Errorf("%d: another document with a token", w.Code)
	}
	for _, element := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(body, -1)
		if len(found) != 1 || !strings.Contains(policy, element+"-src '"+page.Hash(found[0][1])+"'") {
			t.Errorf("%d <%s> elements, policy %s", len(found), element, policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Error(policy)
	}
	for field, want := range map[string]string{
		"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := w.Header().Get(field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if regexp.MustCompile(`(?:src|href)="(https?:)?//`).MatchString(body) || regexp.MustCompile(`\s(style|on[a-z]+)="`).MatchString(body) {
		t.Error("the page loads something, or has an inline attribute")
	}
}

// TestRealClient: the connection of this test's own process counts as the user's.
func TestRealClient(t *testing.T) {
	p, key := testPage(t, true)
	p.own = isOwn
	server := httptest.NewUnstartedServer(p)
	server.Listener = scanning{server.Listener}
	server.Config.ConnContext = listen.ConnContext
	server.Start()
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/token", nil)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := server.Client().Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode != 200 || !p.keys.valid(string(body)) {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

// scanning accepts connections as package listen describes them.
type scanning struct{ net.Listener }

func (s scanning) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	return listen.Scan(c, listen.Conn{Local: local}), err
}

func TestShares(t *testing.T) {
	for state, want := range map[string]string{
		control.ShareConnecting: "Shared through t.example.com: connecting", control.ShareWaiting: "Shared through t.example.com: waiting", control.ShareAsleep: "The share is paused",
		control.ShareFailed: "The share has failed: ", control.ShareEnded: "", control.ShareExpired: "", control.ShareNone: "",
	} {
		got := ""
		if s := shareOf(&control.Share{State: state, Relay: "t.example.com"}); s != nil {
			got = s.Text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
	if shareOf(nil) != nil {
		t.Error("no share is shown")
	}
}

func TestURL(t *testing.T) {
	for port, want := range map[uint16]string{443: "https://devproxy.localhost", 8443: "https://devproxy.localhost:8443", 4430: "https://devproxy.localhost:4430"} {
		if got := URL(port); got != want {
			t.Errorf("%d: %s", port, got)
		}
	}
}
