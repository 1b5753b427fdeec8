//go:build e2e && unix

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
)

// oauthProvider is an OAuth provider with registered redirect URLs. It insists on PKCE (RFC
// 7636), and on the same redirect_uri in both requests (RFC 6749 section 4.1.3).
type oauthProvider struct {
	*app
	mu         sync.Mutex
	registered []string
	codes      map[string]grantedCode
	refused    []string
}

// grantedCode is what the request for a code's token must repeat.
type grantedCode struct{ back, challenge string }

func startProvider(t *testing.T) *oauthProvider {
	t.Helper()
	p := &oauthProvider{codes: map[string]grantedCode{}}
	p.app = startApp(t, p.serve)
	return p
}

func (p *oauthProvider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	refuse := func(why string) {
		p.refused = append(p.refused, why)
		http.Error(w, why, http.StatusBadRequest)
	}
	if r.URL.Path == "/userinfo" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sub":"1","user":"ann"}`)
		return
	}
	back := r.FormValue("redirect_uri")
	if !slices.Contains(p.registered, back) {
		refuse(r.URL.Path + " with redirect_uri " + back)
		return
	}
	switch r.URL.Path {
	case "/authorize":
		code := rand.Text()
		p.codes[code] = grantedCode{back, r.FormValue("code_challenge")}
		if r.FormValue("response_mode") == "form_post" {
			html(w, fmt.Sprintf(`<form method=post action=%q><input type=hidden name=code value=%q><input type=hidden name=state value=%q></form><script>document.forms[0].submit()</script>`, back, code, r.FormValue("state")))
			return
		}
		http.Redirect(w, r, back+"?"+url.Values{"code": {code}, "state": {r.FormValue("state")}}.Encode(), http.StatusFound)
	case "/token":
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		granted := p.codes[r.FormValue("code")]
		if delete(p.codes, r.FormValue("code")); granted != (grantedCode{back, base64.RawURLEncoding.EncodeToString(sum[:])}) {
			refuse("a token for code " + r.FormValue("code"))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"t","token_type":"bearer","user":"ann"}`)
	}
}

// oauthApp is an app that signs its users in at a provider. It is configured as the
// documents say: with DEVPROXY_CALLBACK_URL.
type oauthApp struct {
	*app
	provider  *oauthProvider
	callback  func() string
	mu        sync.Mutex
	verifiers map[string]string // by state
}

func startOAuthApp(t *testing.T, p *oauthProvider, callback func() string) *oauthApp {
	t.Helper()
	a := &oauthApp{provider: p, callback: callback, verifiers: map[string]string{}}
	a.app = startApp(t, a.serve)
	return a
}

// begin returns the URL that begins a login, in the browser that gets the cookie.
func (a *oauthApp) begin(w http.ResponseWriter, mode string) string {
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	a.mu.Lock()
	a.verifiers[state] = verifier
	a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "login", Value: state, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode})
	sum := sha256.Sum256([]byte(verifier))
	return a.provider.URL + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {a.callback()}, "state": {state}, "response_mode": {mode},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

func (a *oauthApp) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		user := "nobody"
		if c, err := r.Cookie("sid"); err == nil {
			user = c.Value
		}
		html(w, "<p id=user>"+user+"</p>")
	case "/login":
		http.Redirect(w, r, a.begin(w, r.FormValue("mode")), http.StatusFound)
	case "/login.json": // what Auth.js answers to its own scripts
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"url": a.begin(w, "")})
	case "/auth/callback":
		c, err := r.Cookie("login")
		if err != nil || c.Value != r.FormValue("state") {
			http.Error(w, "not the browser that began this login", http.StatusForbidden)
			return
		}
		a.mu.Lock()
		verifier := a.verifiers[c.Value]
		a.mu.Unlock()
		res, err := http.PostForm(a.provider.URL+"/token", url.Values{
			"grant_type": {"authorization_code"}, "code": {r.FormValue("code")}, "redirect_uri": {a.callback()}, "code_verifier": {verifier},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		var token struct{ User string }
		if json.NewDecoder(res.Body).Decode(&token) != nil || token.User == "" {
			http.Error(w, "no token: "+res.Status, http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: token.User, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		http.NotFound(w, r)
	}
}

// TestE2EShareCallback: one registered redirect URL serves the logins of every link, and of
// the developer's own browser without a share. It does not tell strangers where the share is.
func TestE2EShareCallback(t *testing.T) {
	relay := startDevRelay(t)
	trustChromium(t, relay.upProcess)
	visitor := startChromium(t, relay.upProcess, "EXCLUDE *.share.localhost", "MAP *.localhost ~NOTFOUND")

	variable := func(name string) string { return relay.variable(t, name) }
	accounts := startProvider(t)
	app := startOAuthApp(t, accounts, func() string { return variable("DEVPROXY_CALLBACK_URL") })
	proxyfile := fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { callback = [\"/auth/callback\"] }\n", app.URL)
	dir := projectDir(t, proxyfile)
	project := relay.share(t, dir, nil)
	callback := variable("DEVPROXY_CALLBACK_URL")
	accounts.registered = []string{callback} // from here on it never changes
	if host, _, _ := strings.Cut(relay.name, ":"); !strings.HasPrefix(callback, "https://callback-") || !strings.Contains(callback, "."+host) || variable("DEVPROXY_CALLBACK_ORIGIN")+"/auth/callback" != callback {
		t.Fatalf("the callback is %q", callback)
	}

	login := func(shop, begin string) {
		t.Helper()
		p := openTab(t, visitor)
		if begin == "json" {
			if _, err := p.visit(shop + "/"); err != nil {
				t.Fatal(err)
			}
			p.forgetLoads()
			evaluate[bool](t, p, "fetch('/login.json', {method: 'POST'}).then(r => r.json()).then(to => { location.href = to.url }), true")
		} else {
			_, _ = p.visit(shop + "/login?mode=" + begin) // a form goes on after the load
		}
		p.awaitLoad(t, fmt.Sprintf("location.href === '%s/' && document.querySelector('#user')?.textContent === 'ann'", shop))
	}
	first := project.base()
	login(first, "")

	// Another link of the same key.
	client, err := control.Dial(filepath.Join(runtimeOf(relay.env), "devproxy"), dir)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(op string) control.Share {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		got, err := client.Share(ctx, control.ShareRequest{Op: op})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	ask(control.OpNew)
	project.awaitPast("unshared")
	project.awaitLink()
	second := project.base()
	if second == first {
		t.Fatalf("the next link is %s again", second)
	}
	login(second, "json")
	login(second, "form_post")

	// Strangers, and browsers with a state that no share knows, see the local origin alone.
	local := fmt.Sprintf("https://shop.localhost:%d", project.addr.Port())
	stranger := relay.visitor(t, "h2")
	for _, query := range []string{"", "?state=0123456789abcdef0123456789abcdef", "?code=1&state=" + strings.Repeat("A", 26)} {
		res, err := stranger.Get(callback + query)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if to := res.Header.Get("Location"); res.StatusCode != http.StatusFound || to != local+"/auth/callback"+query {
			t.Errorf("%q: %d to %q", query, res.StatusCode, to)
		}
	}

	// The developer's own browser, with and without a share, also on a clone.
	loginHere := func(project *sharedProject, origin string) {
		t.Helper()
		res, err := relay.browser(t, project).Get(origin + "/login")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if at := res.Request.URL.String(); at != origin+"/" || !strings.Contains(string(body), "<p id=user>ann") {
			t.Errorf("the login ends at %s: %d %s", at, res.StatusCode, body)
		}
	}
	loginHere(project, local)
	ask(control.OpSleep)
	project.awaitPast("unshared")
	if got := variable("DEVPROXY_CALLBACK_URL"); got != callback {
		t.Errorf("without a share the callback is %q", got)
	}
	loginHere(project, local)
	project.stop()

	clone := relay.share(t, projectDir(t, proxyfile), nil)
	if got := variable("DEVPROXY_CALLBACK_URL"); got != callback || clone.base() == second {
		t.Errorf("the clone has the callback %q, and the link %s", got, clone.base())
	}
	login(clone.base(), "")
	local = fmt.Sprintf("https://shop.localhost:%d", clone.addr.Port())
	loginHere(clone, local)
	if found, _ := checkShare(t, clone); !hasFinding(found, "callback", doctor.Fine, local) {
		t.Errorf("share --check says %+v", found)
	}
	accounts.mu.Lock()
	defer accounts.mu.Unlock()
	if len(accounts.refused) > 0 {
		t.Errorf("the provider refused %q", accounts.refused)
	}
}

// variable returns a variable of the file that services read; empty if it has none.
func (r *devRelay) variable(t *testing.T, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(runtimeOf(r.env), "*", "*.public.env"))
	if err != nil {
		t.Error(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may be gone with its instance
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}

// browser is a client with cookies that follows redirects, and reaches the project's local
// host too.
func (r *devRelay) browser(t *testing.T, project *sharedProject) *http.Client {
	t.Helper()
	jar, _ := cookiejar.New(nil) // never fails
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			switch name, _, _ := net.SplitHostPort(addr); {
			case name == "shop.localhost":
				return new(net.Dialer).DialContext(ctx, network, project.addr.String())
			case strings.HasSuffix(name, ".share.localhost"):
				return r.dial(ctx)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: patience}
}

// hasFinding reports whether a check has a state, with text in its detail.
func hasFinding(found []doctor.Finding, check string, state doctor.State, text string) bool {
	for _, f := range found {
		if f.Check == check && f.State == state && strings.Contains(f.Detail, text) {
			return true
		}
	}
	return false
}
