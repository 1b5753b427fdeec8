//go:build e2e && unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// shopOffice are the two dev servers of a project. They know their local names
// alone.
func shopOffice(w http.ResponseWriter, r *http.Request) {
	shop := "https://" + strings.TrimPrefix(r.Host, "admin.") // with the port
	switch r.URL.Path {
	case "/login":
		for _, cookie := range []string{"sid=secret; Domain=.shop.localhost; Path=/; Secure; HttpOnly; SameSite=Lax", "note=ours; Domain=shop.localhost; Path=/"} {
			w.Header().Add("Set-Cookie", cookie)
		}
		http.Redirect(w, r, "https://admin."+r.Host+"/welcome", http.StatusSeeOther)
	case "/me":
		if r.Header.Get("Origin") == shop {
			w.Header().Set("Access-Control-Allow-Origin", shop)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
			w.Header().Set("Access-Control-Allow-Headers", "X-Shop")
			w.Header().Set("Access-Control-Allow-Methods", "PUT")
		}
		_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("Cookie"))
	default:
		html(w, "<h1>"+r.Host+"</h1>")
	}
}

// evilApp answers as a project would that is after its neighbour's cookies.
func evilApp(zone string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, domain := range []string{zone, ".shop.localhost", "share.localhost", "localhost"} {
			w.Header().Add("Set-Cookie", "note=evil; Path=/; Domain="+domain)
			w.Header().Add("Set-Cookie", "sid=evil; Path=/; Secure; Domain="+domain)
		}
		html(w, "evil")
	}
}

// askMe sends a request to the office with credentials and a header that needs
// a preflight.
const askMe = `fetch('%s/me', {method: 'PUT', credentials: 'include', headers: {'X-Shop': '1'}}).then(r => r.text(), e => 'refused')`

// twoHosts: cookies, redirects and CORS between the hosts of a project work as
// they do on this machine, and another share has no part in them.
func (b *publicBrowser) twoHosts(t *testing.T) {
	apps := startApp(t, shopOffice)
	project := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nhost \"admin.shop.localhost\" { upstream = %[1]q }\nshare { cookies = \"shared\" }\n", apps.URL)), nil)
	shop, admin := "https://"+project.host("shop.localhost"), "https://"+project.host("admin.shop.localhost")
	_, zone, _ := strings.Cut(strings.TrimSuffix(project.host("shop.localhost"), fmt.Sprintf(":%s", b.relay.port())), ".")
	local := fmt.Sprintf("shop.localhost:%d", project.addr.Port())

	p := openTab(t, b.browser)
	if status, err := p.visit(shop + "/login"); err != nil || status != http.StatusOK {
		t.Fatalf("the login: %d, %v", status, err)
	}
	if got := evaluate[string](t, p, "location.href + '|' + document.cookie + '|' + document.querySelector('h1').innerText"); got != admin+"/welcome|note=ours|admin."+local {
		t.Errorf("the login leads to %q", got)
	}
	if status, err := p.visit(shop + "/"); err != nil || status != http.StatusOK {
		t.Fatalf("the shop: %d, %v", status, err)
	}
	apps.take()
	if got := evaluate[string](t, p, fmt.Sprintf(askMe, admin)); got != "PUT sid=secret; note=ours" {
		t.Errorf("the office answers the shop's page %q", got)
	}
	seen := apps.take()
	if len(seen) != 2 || seen[0].Method != http.MethodOptions {
		t.Fatalf("the office was asked %d times, want a preflight and the request", len(seen))
	}
	for _, r := range seen {
		if r.Host != "admin."+local || r.Header.Get("Origin") != "https://"+local {
			t.Errorf("%s: the office was asked as %q from %q", r.Method, r.Host, r.Header.Get("Origin"))
		}
	}
	for _, c := range cookiesOf(t, p, shop, admin) {
		if want := "." + zone; c != want {
			t.Errorf("a cookie belongs to %q, want %q", c, want)
		}
	}
	b.neighbour(t, apps, p, shop, admin, zone)
}

// gatedHosts: behind a password, the gate answers the preflights between the
// hosts of a project, and the requests that follow reach the dev server.
func (b *publicBrowser) gatedHosts(t *testing.T) {
	apps := startApp(t, shopOffice)
	project := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nhost \"admin.shop.localhost\" { upstream = %[1]q }\nshare { password = \"open sesame\" }\n", apps.URL)), nil)
	shop, admin := "https://"+project.host("shop.localhost"), "https://"+project.host("admin.shop.localhost")
	p := openTab(t, b.browser)
	if status, err := p.visit(shop + "/"); err != nil || status != http.StatusUnauthorized {
		t.Fatalf("without the password: %d, %v", status, err)
	}
	p.forgetLoads()
	p.logIn(t, "open sesame")
	p.awaitLoad(t, "document.querySelector('h1') !== null && document.querySelector('h1').innerText.startsWith('shop.')")
	apps.take()
	if got := evaluate[string](t, p, fmt.Sprintf(askMe, admin)); got != "PUT " {
		t.Errorf("the office answers the shop's page %q", got)
	}
	if seen := apps.take(); len(seen) != 1 || seen[0].Method != http.MethodPut {
		t.Errorf("the office was asked %d times, want once, without the preflight: %+v", len(seen), seen)
	}
	stranger := openTab(t, b.browser)
	evil := startApp(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "evil") })
	other := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"evil.localhost\" { upstream = %q }\n", evil.URL)), nil)
	if status, err := stranger.visit(other.link); err != nil || status != http.StatusOK {
		t.Fatalf("another share: %d, %v", status, err)
	}
	if got := evaluate[string](t, stranger, fmt.Sprintf(askMe, admin)); got != "refused" {
		t.Errorf("the office answers another share's page %q", got)
	}
	if seen := apps.take(); len(seen) != 0 {
		t.Errorf("the office was asked by another share's page: %+v", seen)
	}
}

// formsApp has a form to the other host, and one, a link and an embed to strangers.
// It refuses forms that do not tell an origin of the project.
func formsApp(other, stranger func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Origin"), "https://shop.localhost:") {
			http.Error(w, "not from here: "+r.Header.Get("Origin"), http.StatusForbidden)
			return
		}
		html(w, fmt.Sprintf(`<h1>%s %s</h1><form id=own method=post action="%s/posted"></form>
<form id=foreign method=post action="%[4]s/posted"></form><a id=out href="%[4]s/link">out</a><iframe src="%[4]s/embed"></iframe>`, r.Method, r.Host, other(), stranger()))
	}
}

// formsBetweenHosts: what a page of a share tells its other hosts, and strangers.
func (b *publicBrowser) formsBetweenHosts(t *testing.T) {
	evil := startApp(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "<h1>stranger</h1>") })
	stranger := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"evil.localhost\" { upstream = %q }\n", evil.URL)), nil).link
	for name, share := range map[string]string{"token": "", "plain name": "share { name = \"forms\" }\n"} {
		t.Run(name, func(t *testing.T) {
			var admin string
			apps := startApp(t, formsApp(func() string { return admin }, func() string { return stranger }))
			project := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nhost \"admin.shop.localhost\" { upstream = %[1]q }\n%s", apps.URL, share)), nil)
			admin = "https://" + project.host("admin.shop.localhost")
			shop := "https://" + project.host("shop.localhost")
			p := openTab(t, b.browser)
			open := func() {
				t.Helper()
				if status, err := p.visit(project.link); err != nil || status != http.StatusOK {
					t.Fatalf("the page: %d, %v", status, err)
				}
				p.forgetLoads()
				apps.take()
			}
			// last is the last request to path that an app has seen.
			last := func(a *app, path string) *http.Request {
				t.Helper()
				for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
					for _, r := range a.take() {
						if r.URL.Path == path {
							return r
						}
					}
				}
				t.Fatalf("unexpected request for %s", path)
				return nil
			}
			open()
			evaluate[bool](t, p, "document.getElementById('own').submit(), true")
			got := last(apps, "/posted")
			p.awaitLoad(t, "location.pathname === '/posted'")
			wantOrigin, told := "null", ""
			if share != "" {
				wantOrigin = fmt.Sprintf("https://shop.localhost:%d", project.addr.Port())
				told = shop
			}
			if got.Header.Get("Origin") != wantOrigin || got.Host != fmt.Sprintf("admin.shop.localhost:%d", project.addr.Port()) {
				t.Errorf("a form between hosts has Origin %q at %s, want %q", got.Header.Get("Origin"), got.Host, wantOrigin)
			}
			evil.take()
			open()
			if got := last(evil, "/embed").Header.Get("Referer"); strings.TrimSuffix(got, "/") != told {
				t.Errorf("an embed is told %q, want %q", got, told)
			}
			evaluate[bool](t, p, "document.getElementById('out').click(), true")
			if got := last(evil, "/link").Header.Get("Referer"); strings.TrimSuffix(got, "/") != told {
				t.Errorf("a link out tells %q, want %q", got, told)
			}
			p.awaitLoad(t, "location.pathname === '/link'")
			open()
			evaluate[bool](t, p, "document.getElementById('foreign').submit(), true")
			foreign := last(evil, "/posted")
			wantOrigin = "null"
			if told != "" {
				wantOrigin = told
			}
			if foreign.Header.Get("Origin") != wantOrigin || strings.TrimSuffix(foreign.Header.Get("Referer"), "/") != told {
				t.Errorf("a form to a stranger has Origin %q and Referer %q, want %q and %q", foreign.Header.Get("Origin"), foreign.Header.Get("Referer"), wantOrigin, told)
			}
		})
	}
}

// neighbour: another share of the same relay, so same-site to the browser. What
// no header can hinder is not asked here: a script that sets a cookie for the
// relay's whole domain, unless that is on the Public Suffix List.
func (b *publicBrowser) neighbour(t *testing.T, apps *app, p *tab, shop, admin, zone string) {
	evil := startApp(t, evilApp(zone))
	other := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"evil.localhost\" { upstream = %q }\n", evil.URL)), nil)
	foreign := openTab(t, b.browser)
	for range 2 { // cookies of the first response would be sent with the second
		if status, err := foreign.visit(other.link); err != nil || status != http.StatusOK {
			t.Fatalf("the neighbour: %d, %v", status, err)
		}
	}
	for _, domain := range []string{zone, strings.TrimPrefix(shop, "https://"), strings.TrimPrefix(admin, "https://")} {
		evaluate[string](t, foreign, fmt.Sprintf("document.cookie = 'note=evil; Path=/; Domain=%s'", strings.Split(domain, ":")[0]))
	}
	if got := evaluate[string](t, foreign, "document.cookie"); got != "" {
		t.Errorf("the neighbour's page reads %q", got)
	}
	for _, r := range evil.take() {
		if got := r.Header.Get("Cookie"); got != "" {
			t.Errorf("the neighbour's server is sent %q", got)
		}
	}
	apps.take()
	for _, ask := range []string{askMe, `fetch('%s/me', {credentials: 'include'}).then(r => r.text(), e => 'refused')`} {
		if got := evaluate[string](t, foreign, fmt.Sprintf(ask, admin)); got != "refused" {
			t.Errorf("the neighbour's page reads %q from the office", got)
		}
	}
	for _, r := range apps.take() {
		if got := r.Header.Get("Origin"); got != other.link {
			t.Errorf("the office sees the neighbour as %q, want its own name %q", got, other.link)
		}
	}
	if got := evaluate[string](t, p, fmt.Sprintf(askMe, admin)); got != "PUT sid=secret; note=ours" {
		t.Errorf("next to the neighbour the office answers %q", got)
	}
}
