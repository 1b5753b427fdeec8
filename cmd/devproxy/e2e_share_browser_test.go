//go:build e2e && unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"
)

// publicBrowser is a Chromium that trusts the relay's CA and no other, in a HOME
// of its own.
type publicBrowser struct {
	relay   *devRelay
	browser context.Context
}

// TestE2EShareBrowser tests a share as a visitor sees it: real Chromium at the
// public end.
func TestE2EShareBrowser(t *testing.T) {
	relay := startDevRelay(t)
	trustChromium(t, relay.upProcess)
	b := &publicBrowser{relay, startChromium(t, relay.upProcess)}
	t.Run("demo", b.demo)
	t.Run("two hosts", b.twoHosts)
	t.Run("two hosts with a password", b.gatedHosts)
	t.Run("forms between hosts", b.formsBetweenHosts)
	t.Run("secret link", b.secretLink)
	t.Run("password", b.password)
	t.Run("restarting", b.restarting)
	t.Run("over", b.over)
}

// sharedDemo is the demo's page, opened by its link.
type sharedDemo struct {
	shopPage
	project *sharedProject
	away    *app
}

// demo opens the demo through its link. Nothing about sharing is configured:
// not in Vite, not in the API, not in the Proxyfile.
func (b *publicBrowser) demo(t *testing.T) {
	servers := startDemo(t)
	away := startApp(t, func(w http.ResponseWriter, r *http.Request) {
		// As apps that were written without a proxy in mind do.
		http.Redirect(w, r, "https://"+r.Host+"/docs/", http.StatusFound)
	})
	file := filepath.Join(servers.dir, "Proxyfile")
	text := readText(t, file)
	route := fmt.Sprintf("%s\n  route \"/away\" { upstream = %q }", healthzLine, away.URL)
	saveFile(t, file, strings.Replace(text, healthzLine, route, 1))
	saveFile(t, filepath.Join(servers.dir, "web", ".env"), "SECRET=of the project\n")

	project := b.relay.share(t, servers.dir, nil)
	d := &sharedDemo{shopPage{tab: openTab(t, b.browser), up: project.upProcess, demo: servers}, project, away}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"page", d.loads},
		{"events", d.receivesEvents},
		{"websocket", d.echoes},
		{"calls", d.callsNothing},
		{"hot replacement", d.replaces},
		{"sockets", d.allSocketsPublic},
		{"hidden", d.hides},
		{"login", d.logsIn},
		{"redirect", d.followsLocalRedirect},
	} {
		if !t.Run(step.name, step.run) {
			return // the next steps build on it
		}
	}
}

func (d *sharedDemo) loads(t *testing.T) {
	status, err := d.visit(d.project.link)
	if err != nil || status != http.StatusOK {
		t.Fatalf("the page answers %d: %v", status, err)
	}
	if !evaluate[bool](t, d.tab, "window.isSecureContext") {
		t.Error("the page is not a secure context")
	}
	d.soon(t, testID("message")+" === 'One trusted origin'")
	d.soon(t, testID("api")+" === 'Hello, stranger'")
	for id, want := range map[string]string{
		"origin":    d.project.link,
		"api-host":  fmt.Sprintf("shop.localhost:%d", d.project.addr.Port()),
		"api-proto": "https",
	} {
		if got := evaluate[string](t, d.tab, testID(id)); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	if got := evaluate[string](t, d.tab, "performance.getEntriesByType('navigation')[0].nextHopProtocol"); got != "h2" {
		t.Errorf("the page came by %q, want h2", got)
	}
}

// allSocketsPublic: Vite's client tries its server's own port when it fails to
// connect by the page's origin.
func (d *sharedDemo) allSocketsPublic(t *testing.T) {
	opened, closed := d.webSockets()
	want := "wss://" + d.project.host("shop.localhost") + "/"
	for _, url := range opened {
		if !strings.HasPrefix(url, want) {
			t.Errorf("a WebSocket went to %s, past the link", url)
		}
	}
	if len(opened) != 2 || closed != nil {
		t.Errorf("WebSockets opened: %q, closed: %q; want the two of the page, none closed", opened, closed)
	}
}

// callsNothing attacks Vite's own socket, as a visitor who has read the page.
// The steps that follow show that hot replacement continues.
func (d *sharedDemo) callsNothing(t *testing.T) {
	attacker := d.project.relay.hotSocket(t, d.project.base())
	if _, connected, err := attacker.Read(t.Context()); err != nil || string(connected) != `{"type":"connected"}` {
		t.Fatalf("Vite says %s, %v", connected, err)
	}
	for _, message := range []string{
		`{"type":"ping"}`,
		`{"type":"custom","event":"my:event"}`,
		`{"type":"custom","event":"vite:invoke","data":{"name":"fetchModule","id":"send:1","data":["/src/main.js"]}}`,
	} {
		if err := attacker.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	if _, message, err := attacker.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("Vite says %.200s, %v; want the close code 1008", message, err)
	}
}

// hotSocket is a visitor's WebSocket to the Vite behind base, with its token.
func (r *devRelay) hotSocket(t *testing.T, base string) *websocket.Conn {
	t.Helper()
	client := r.visitor(t, "h1")
	token := regexp.MustCompile(`wsToken = "([^"]+)"`).FindStringSubmatch(ask(t, client, "GET", base+"/@vite/client", "").body)
	if token == nil {
		t.Fatal("Vite's client has no token")
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(base, "https:", "wss:", 1)+"/?token="+token[1], &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"vite-hmr"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// hides asks, from the page, for what Vite shows to its own.
func (d *sharedDemo) hides(t *testing.T) {
	for path, want := range map[string]int{
		"/src/main.js":                      200,
		"/.env":                             404,
		"/.env?raw":                         404,
		"/.env?import&raw??":                404,
		"/%2eenv":                           404,
		"/src/%2e%2e%2f.env":                404,
		"/@fs/etc/passwd":                   404,
		"/@fs/etc/passwd?import&raw":        404,
		"/@fs" + d.project.dir + "/../x":    404, // browsers take the dots away
		"/@id/.env":                         404,
		"/__open-in-editor?file=index.html": 404,
		"/.well-known/devproxy/ca":          404,
	} {
		got := evaluate[int](t, d.tab, fmt.Sprintf("fetch(%q).then(r => r.status)", path))
		if got != want {
			t.Errorf("%s answers %d, want %d", path, got, want)
		}
	}
}

// logsIn sends a form, as a person does, and comes back with a cookie.
func (d *sharedDemo) logsIn(t *testing.T) {
	d.forgetLoads()
	evaluate[bool](t, d.tab, `(() => {
	  const form = document.createElement('form');
	  form.method = 'post';
	  form.action = '/api/login';
	  form.innerHTML = '<input name="name" value="Grace">';
	  document.body.append(form);
	  form.submit();
	  return true;
	})()`)
	d.awaitLoad(t, "location.pathname === '/'")
	d.soon(t, testID("api")+" === 'Hello, Grace'")
	if got := evaluate[string](t, d.tab, "location.href"); got != d.project.link+"/" {
		t.Errorf("after the login the address is %q", got)
	}
	if got := evaluate[string](t, d.tab, "document.cookie"); got != "" {
		t.Errorf("scripts read %q, and the cookie is HttpOnly", got)
	}
}

// followsLocalRedirect: the app redirects to its own local address.
func (d *sharedDemo) followsLocalRedirect(t *testing.T) {
	status, err := d.visit(d.project.link + "/away")
	if err != nil || status != http.StatusOK {
		t.Fatalf("the redirect ends with %d: %v", status, err)
	}
	if got := evaluate[string](t, d.tab, "location.href"); got != d.project.link+"/docs/" {
		t.Errorf("the redirect ends at %q, want the public host", got)
	}
	if seen := d.away.take(); len(seen) != 1 || seen[0].Host != fmt.Sprintf("shop.localhost:%d", d.project.addr.Port()) {
		t.Errorf("the app was asked %v, want once by its local name", seen)
	}
}

// soon is await right after a navigation: await asks in a document that may be
// the last one, which is then an error.
func (p *tab) soon(t *testing.T, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	const often = 20 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		if holds, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && holds {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s does not become true; the page is:\n%.2000s", expression, p.html(t))
		}
	}
}

// forgetLoads has awaitLoad wait for the next document.
func (p *tab) forgetLoads() {
	for len(p.loads) > 0 {
		<-p.loads
	}
}

// secretLink: a plain name, which anybody can guess, opens by its link alone.
func (b *publicBrowser) secretLink(t *testing.T) {
	shop := startApp(t, socketPage)
	project := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n\nshare { name = \"plainshop\" }\n", shop.URL)), nil)
	evil := startApp(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "evil") })
	other := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"evil.localhost\" { upstream = %q }\n", evil.URL)), nil)
	base := "https://plainshop." + b.relay.name
	if !strings.HasPrefix(project.link, base+"/?devproxy=") {
		t.Fatalf("the link is %q", project.link)
	}
	p := openTab(t, b.browser)
	if status, err := p.visit(base + "/"); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without the secret: %d, %v; want 401", status, err)
	}
	p.soon(t, "document.body.innerText.includes('This link is not complete.')")
	if status, err := p.visit(base + "/?devproxy=0123456789abcdef"); err != nil || status != http.StatusUnauthorized {
		t.Errorf("with a wrong secret: %d, %v; want 401", status, err)
	}
	if seen := shop.take(); len(seen) > 0 {
		t.Fatalf("the app was asked by who has no secret: %v", seen)
	}
	for _, address := range []string{project.link, base + "/"} { // the link; then its cookie
		if status, err := p.visit(address); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d, %v", address, status, err)
		}
		if got := evaluate[string](t, p, "location.href + '|' + document.cookie + '|' + document.referrer"); got != base+"/||" {
			t.Errorf("the address, cookies and referrer are %q, want a clean address and no more", got)
		}
	}
	for _, r := range shop.take() {
		if r.URL.RawQuery != "" || r.Header.Get("Cookie") != "" || strings.Contains(fmt.Sprint(r.Header), "devproxy") {
			t.Errorf("the app was told %s %v", r.RequestURI, r.Header)
		}
	}
	const open = `new Promise(resolve => {
	  const ws = new WebSocket('wss://plainshop.%s/ws');
	  ws.onopen = () => { ws.send('hello'); };
	  ws.onmessage = e => { resolve(e.data); ws.close(); };
	  ws.onerror = () => resolve('refused');
	})`
	if got := evaluate[string](t, p, fmt.Sprintf(open, b.relay.name)); got != "hello" {
		t.Errorf("the page's own WebSocket: %q", got)
	}
	shop.take()

	// Another share is same-site here, so the browser sends it the gate's cookie.
	foreign := openTab(t, b.browser)
	refusals := make(chan string, 10)
	_ = chromedp.Listen(foreign.ctx, func(event any) {
		if e, ok := event.(*network.EventWebSocketFrameError); ok {
			refusals <- e.ErrorMessage
		}
	})
	if status, err := foreign.visit(other.link); err != nil || status != http.StatusOK {
		t.Fatalf("the other share: %d, %v", status, err)
	}
	if got := evaluate[string](t, foreign, fmt.Sprintf(open, b.relay.name)); got != "refused" {
		t.Errorf("another share's WebSocket: %q", got)
	}
	select {
	case text := <-refusals:
		if !strings.Contains(text, "403") {
			t.Errorf("Chromium was told %q, want 403", text)
		}
	case <-time.After(patience):
		t.Error("Chromium does not say why the WebSocket was refused")
	}
	if seen := shop.take(); len(seen) > 0 {
		t.Errorf("the app was asked by a foreign page: %v", seen)
	}
}

// socketPage is an app of one page and one WebSocket that echoes.
func socketPage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ws" {
		html(w, "<h1 id=shop>shop</h1>")
		return
	}
	conn, err := websocket.Accept(w, r, nil) // compares Origin with Host
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// password: the login page in front of any share.
func (b *publicBrowser) password(t *testing.T) {
	shop := startApp(t, socketPage)
	project := b.relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n\nshare { password = \"open sesame\" }\n", shop.URL)), nil)
	const deep = "/deep/page?a=b%20c"
	p := openTab(t, b.browser)
	if status, err := p.visit(project.link + deep); err != nil || status != http.StatusUnauthorized {
		t.Fatalf("without the password: %d, %v; want 401", status, err)
	}
	p.forgetLoads()
	p.logIn(t, "close sesame")
	p.awaitLoad(t, "document.body.innerText.includes('The password is wrong.')")
	if seen := shop.take(); len(seen) > 0 {
		t.Fatalf("the app was asked by who has no password: %v", seen)
	}
	p.logIn(t, "open sesame")
	p.awaitLoad(t, "document.getElementById('shop') !== null")
	if got := evaluate[string](t, p, "location.href + '|' + document.cookie"); got != project.link+deep+"|" {
		t.Errorf("the login leads to %q, want what was asked for", got)
	}
	if status, err := p.visit(project.link + "/"); err != nil || status != http.StatusOK {
		t.Errorf("the next page: %d, %v", status, err)
	}
	for _, r := range shop.take() {
		if text := r.RequestURI + fmt.Sprint(r.Header); strings.Contains(text, "sesame") || r.Header.Get("Cookie") != "" {
			t.Errorf("the app was told %s", text)
		}
	}
}

// logIn types a password and sends it.
func (p *tab) logIn(t *testing.T, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#password"), password+"\r")); err != nil {
		t.Fatal(err)
	}
}

// restarting: the dev server is stopped and comes back while a visitor looks.
func (b *publicBrowser) restarting(t *testing.T) {
	project := b.relay.share(t, projectDir(t, "host \"shop.localhost\" { upstream = \"unix:dev.sock\" }\n"), nil)
	stop := unixApp(t, project.dir, "dev.sock", socketPage)
	p := openTab(t, b.browser)
	if status, err := p.visit(project.link); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v", status, err)
	}
	stop()
	if status, err := p.visit(project.link); err != nil || status != http.StatusServiceUnavailable {
		t.Fatalf("with the server stopped: %d, %v; want 503", status, err)
	}
	p.soon(t, "document.body.innerText.includes('This site is restarting.')")
	noteLeaks(t, project, "the waiting page", p.html(t), "dev.sock")
	p.forgetLoads()
	unixApp(t, project.dir, "dev.sock", socketPage)
	p.awaitLoad(t, "document.getElementById('shop') !== null")
}

// over: a link that has expired says so, while the project runs and after.
func (b *publicBrowser) over(t *testing.T) {
	project := b.relay.share(t, projectDir(t, "host \"shop.localhost\" { respond = 204 }\n"), nil, "--for", "1s")
	if e := project.awaitPast("unshared"); !strings.Contains(e.Line, `"reason":"expired"`) {
		t.Errorf("devproxy says %s", e.Line)
	}
	p := openTab(t, b.browser)
	for _, when := range []string{"next to the running project", "without it"} {
		if status, err := p.visit(project.link); err != nil || status != http.StatusGone {
			t.Fatalf("%s: %d, %v; want 410", when, status, err)
		}
		text := evaluate[string](t, p, "document.body.innerText")
		for _, want := range []string{
			"This link has ended.", "It was open until ", " UTC, ", "Ask the person who sent it for a new one.",
			"Yours? Run devproxy share in the project for a new link.",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page lacks %q:\n%s", when, want, text)
			}
		}
		if got := evaluate[string](t, p, "document.querySelector('meta[name=robots]').content"); got != "noindex" {
			t.Errorf("%s: robots are told %q", when, got)
		}
		noteLeaks(t, project, "the page of the ended link", p.html(t))
		project.stop()
	}
}

// cookiesOf are the domains of the cookies that the browser would send.
func cookiesOf(t *testing.T, p *tab, urls ...string) (domains []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: urls})
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range found.Cookies {
		domains = append(domains, cookie.Domain)
	}
	return domains
}

// noteLeaks looks in a visitor's responses for private data: paths, files,
// addresses, ports and local names.
func noteLeaks(t *testing.T, p *sharedProject, where, text string, more ...string) {
	t.Helper()
	name, _ := os.Hostname()
	secrets := append(more, p.dir, p.home, p.state, filepath.Base(p.dir), "Proxyfile", "127.0.0.1", "[::1]", "/tmp",
		fmt.Sprintf(":%d", p.addr.Port()), "refused", "dial ", "shop.localhost", name)
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("%s tells %q:\n%.3000s", where, secret, text)
		}
	}
}
