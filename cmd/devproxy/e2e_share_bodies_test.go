//go:build e2e && unix

package main

import (
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// hardCoded is a project of three hosts whose servers and pages know only their local
// addresses, and check them.
type hardCoded struct {
	web, api, auth string // origins
	codes          atomic.Int64
	failed         chan string // what a server refused
}

func (p *hardCoded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch origin := "https://" + r.Host; origin {
	case p.web:
		p.serveWeb(w, r)
	case p.api:
		p.serveAPI(w, r)
	case p.auth:
		p.serveAuth(w, r)
	default:
		p.refuse(w, "the host "+r.Host)
	}
}

func (p *hardCoded) refuse(w http.ResponseWriter, what string) {
	select {
	case p.failed <- what:
	default:
	}
	http.Error(w, what, http.StatusBadRequest)
}

// inline is the script in the page, which the policy allows by its hash.
func (p *hardCoded) inline() string {
	return fmt.Sprintf(`
const API = "%s", json = {"auth":"%s"};
fetch(API + "/me", {credentials: "include"}).then(r => r.json()).then(me => {
  document.querySelector("#user").textContent = me.user;
  document.querySelector("#avatar").src = me.avatar;
  if (me.user === "nobody") return;
  fetch(API + "/return", {method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body: JSON.stringify({back: location.origin + "/"})});
});
new EventSource(API + "/events").onmessage = e => { document.querySelector("#event").textContent = JSON.parse(e.data).url; };
document.querySelector("#auth").textContent = json.auth;
`, p.api, strings.ReplaceAll(p.auth, "/", `\/`))
}

func (p *hardCoded) style() string {
	return fmt.Sprintf("body { background: url(%s/avatar.svg) }", p.api)
}

func (p *hardCoded) script() string {
	return fmt.Sprintf("document.querySelector('#app').textContent = '%s/app.js';\n", p.web)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *hardCoded) serveWeb(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/app.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, p.script())
	case "/callback": // the back channel of OAuth compares what it was told at first
		if r.URL.Query().Get("code") == "" || r.URL.Query().Get("next") != p.web+"/" {
			p.refuse(w, "callback "+r.URL.RawQuery)
			return
		}
		p.codes.Add(1)
		http.Redirect(w, r, p.web+"/", http.StatusFound)
	case "/":
		sum := sha512.Sum384([]byte(p.script()))
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src %s %s; style-src %s; connect-src %s; img-src data: %s; form-action %[5]s %s; base-uri 'none'",
			hashOf(p.inline()), p.web, hashOf(p.style()), p.api, p.api, p.auth))
		query := url.Values{"redirect_uri": {p.web + "/callback"}, "next": {p.web + "/"}}
		page := gzip.NewWriter(w)
		fmt.Fprintf(page, `<!doctype html><title>shop</title><link rel="icon" href="data:,"><style>%s</style>
<a id=login href="%s/authorize?%s">Sign in</a>
<p id=user></p><p id=event></p><p id=auth></p><p id=app></p><img id=avatar>
<script>%s</script>
<script src="%s/app.js" integrity="sha384-%s" crossorigin></script>`,
			p.style(), p.auth, strings.ReplaceAll(query.Encode(), "&", "&amp;"), p.inline(), p.web, base64.StdEncoding.EncodeToString(sum[:]))
		_ = page.Close()
	default:
		http.NotFound(w, r)
	}
}

func (p *hardCoded) serveAPI(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if origin := r.Header.Get("Origin"); origin != "" {
		if origin != p.web {
			p.refuse(w, "the origin "+origin)
			return
		}
		h.Set("Access-Control-Allow-Origin", p.web)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Headers", "Content-Type")
	}
	switch r.URL.Path {
	case "/me":
		user := "nobody"
		if c, err := r.Cookie("sid"); err == nil {
			user = c.Value
		}
		h.Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"user":%q,"avatar":"%s\/avatar.svg"}`, user, strings.ReplaceAll(p.api, "/", `\/`))
	case "/return":
		if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost && string(body) != fmt.Sprintf(`{"back":"%s/"}`, p.web) {
			p.refuse(w, "the body "+string(body))
		}
	case "/avatar.svg":
		h.Set("Content-Type", "image/svg+xml")
		_, _ = io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`)
	case "/events":
		h.Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "data: {\"url\":\"%s/events\"}\n\n", p.api)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		http.NotFound(w, r)
	}
}

func (p *hardCoded) serveAuth(w http.ResponseWriter, r *http.Request) {
	back := r.FormValue("redirect_uri")
	if back != p.web+"/callback" || r.FormValue("next") != p.web+"/" { // the registered one
		p.refuse(w, "redirect_uri "+back+", next "+r.FormValue("next"))
		return
	}
	if r.Method != http.MethodPost {
		html(w, fmt.Sprintf(`<form id=consent method=post action="%s/login"><input name=redirect_uri value="%s"><input name=next value="%s/"></form>`, p.auth, back, p.web))
		return
	}
	w.Header().Set("Set-Cookie", "sid=ann; Domain=.shop.localhost; Path=/; Secure; HttpOnly; SameSite=Lax")
	http.Redirect(w, r, back+"?"+url.Values{"code": {"c0de"}, "next": {r.FormValue("next")}}.Encode(), http.StatusSeeOther)
}

// runtimeOf returns the folder of sockets and locks in an environment.
func runtimeOf(env []string) (dir string) {
	for _, variable := range env {
		if value, ok := strings.CutPrefix(variable, "XDG_RUNTIME_DIR="); ok {
			dir = value
		}
	}
	return dir
}

// TestE2EShareBodies: an app of three hosts with hard-coded local URLs works for a
// visitor whose browser finds none of them: pages, scripts with hashes and integrity,
// JSON, events, a cookie for all hosts, and a login with OAuth's code flow.
func TestE2EShareBodies(t *testing.T) {
	relay := startDevRelay(t)
	trustChromium(t, relay.upProcess)
	browser := startChromium(t, relay.upProcess, "EXCLUDE *.share.localhost", "MAP *.localhost ~NOTFOUND")

	app := &hardCoded{failed: make(chan string, 1)}
	servers := startApp(t, app.ServeHTTP)
	project := relay.share(t, projectDir(t, fmt.Sprintf(`
host "shop.localhost" { upstream = %q }
host "api.shop.localhost" { upstream = %[1]q }
host "auth.shop.localhost" { upstream = %[1]q }
share { cookies = "shared" }
`, servers.URL)), nil)
	local := func(name string) string { return fmt.Sprintf("https://%s:%d", name, project.addr.Port()) }
	app.web, app.api, app.auth = local("shop.localhost"), local("api.shop.localhost"), local("auth.shop.localhost")
	shop := "https://" + project.host("shop.localhost")

	files, err := filepath.Glob(filepath.Join(runtimeOf(relay.env), "*", "*.public.env"))
	if err != nil || len(files) != 1 || !strings.Contains(readText(t, files[0]), "DEVPROXY_PUBLIC_URL="+shop+"\n") {
		t.Errorf("the files with the public address: %q, %v", files, err)
	}

	if _, err := openTab(t, browser).visit(app.web); err == nil {
		t.Fatal("the browser reaches the local host")
	}
	p := openTab(t, browser)
	if status, err := p.visit(shop + "/"); err != nil || status != http.StatusOK {
		t.Fatalf("the page: %d, %v", status, err)
	}
	text := func(id, want string) {
		t.Helper()
		p.soon(t, fmt.Sprintf("document.querySelector('#%s').textContent === %q", id, want))
	}
	works := func(user string) {
		t.Helper()
		text("user", user)
		text("event", "https://"+project.host("api.shop.localhost")+"/events")
		text("auth", "https://"+project.host("auth.shop.localhost"))
		text("app", shop+"/app.js")
		p.soon(t, "document.querySelector('#avatar').naturalWidth > 0")
		if got := evaluate[string](t, p, "getComputedStyle(document.body).backgroundImage"); !strings.Contains(got, project.host("api.shop.localhost")) {
			t.Errorf("the style of the page has %q", got)
		}
	}
	works("nobody")

	p.forgetLoads()
	evaluate[bool](t, p, "document.querySelector('#login').click(), true")
	p.awaitLoad(t, "document.querySelector('#consent') !== null")
	p.forgetLoads()
	evaluate[bool](t, p, "document.querySelector('#consent').submit(), true")
	p.awaitLoad(t, fmt.Sprintf("location.href === '%s/' && document.querySelector('#user') !== null", shop))
	works("ann")
	if n := app.codes.Load(); n != 1 {
		t.Errorf("the app got %d codes", n)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, asked := range p.asked(method) {
			if u, err := url.Parse(asked); err == nil && strings.HasSuffix(u.Hostname(), "shop.localhost") {
				t.Errorf("the page asks for %s", asked)
			}
		}
	}
	select {
	case what := <-app.failed:
		t.Errorf("a server refused %s", what)
	default:
	}
}
