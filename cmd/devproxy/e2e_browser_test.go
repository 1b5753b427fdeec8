//go:build e2e && unix

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// extraHosts are added to the demo's Proxyfile: one that is a foreign origin to
// the shop, and one whose server starts late.
const extraHosts = `
host "other.localhost" { upstream = service.api }
host "late.localhost" { upstream = "unix:late.sock" }
`

// healthzLine is the route that the saves change: no connection of the page
// goes through it.
const healthzLine = `route "/healthz" { respond = 204 }`

// TestE2EBrowser is the main job, seen from Chromium: the demo on one trusted
// origin, hot replacement through it, and saves that no open page notices.
func TestE2EBrowser(t *testing.T) {
	demo := startDemo(t)
	file := filepath.Join(demo.dir, "Proxyfile")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	proxyfile := string(text) + extraHosts
	if !strings.Contains(proxyfile, healthzLine) {
		t.Fatalf("the demo's Proxyfile has no line %s", healthzLine)
	}
	saveFile(t, file, proxyfile)
	u := startUp(t, demo.dir)

	t.Run("refused without trust", func(t *testing.T) {
		_, err := openTab(t, startChromium(t, u)).visit(u.url("shop.localhost", "/"))
		if err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
			t.Fatalf("got %v, want ERR_CERT_AUTHORITY_INVALID: without it the rest proves nothing", err)
		}
	})
	trustChromium(t, u)
	browser := startChromium(t, u)
	shop := &shopPage{tab: openTab(t, browser), up: u, demo: demo, proxyfile: proxyfile}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"page", shop.loads},
		{"no preflight", shop.asksWithoutPreflight},
		{"events", shop.receivesEvents},
		{"websocket", shop.echoes},
		{"hot replacement", shop.replaces},
		{"fifty saves", shop.survivesSaves},
		{"waiting page", func(t *testing.T) { waitingPage(t, openTab(t, browser), u) }},
		{"stop", shop.seesTheEnd},
	} {
		if !t.Run(step.name, step.run) {
			return // the next steps build on it
		}
	}
}

// shopPage is the demo's page, open in a tab.
type shopPage struct {
	*tab
	up        *upProcess
	demo      *demoServers
	proxyfile string
}

func (p *shopPage) loads(t *testing.T) {
	status, err := p.visit(p.up.url("shop.localhost", "/"))
	if err != nil || status != http.StatusOK {
		t.Fatalf("the page answers %d: %v", status, err)
	}
	if !evaluate[bool](t, p.tab, "window.isSecureContext") {
		t.Error("the page is not a secure context")
	}
	p.await(t, testID("message")+" === 'One trusted origin'")
	p.await(t, testID("api")+" === 'Hello, stranger'")
	for id, want := range map[string]string{
		"origin":    strings.TrimSuffix(p.up.url("shop.localhost", ""), "/"),
		"api-host":  fmt.Sprintf("shop.localhost:%d", p.up.addr.Port()),
		"api-proto": "https",
	} {
		if got := evaluate[string](t, p.tab, testID(id)); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
}

// asksWithoutPreflight sends what would need a preflight to another origin.
// The same to another origin shows that one would have been seen.
func (p *shopPage) asksWithoutPreflight(t *testing.T) {
	const ask = `fetch(%q, {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Shop': '1'}, body: '{"n":1}'})
	  .then(r => r.text(), e => 'refused')`
	if got := evaluate[string](t, p.tab, fmt.Sprintf(ask, "/api/echo")); got != `{"n":1}` {
		t.Errorf("the API echoes %q", got)
	}
	if urls := p.asked(http.MethodOptions); urls != nil {
		t.Errorf("Chromium sent preflights: %q", urls)
	}
	if lines := p.demo.api.asked("OPTIONS"); len(lines) > 0 {
		t.Errorf("the API was asked %q", lines)
	}
	if lines := p.demo.api.asked("POST /api/echo"); len(lines) != 1 {
		t.Errorf("the API was asked %q, want once", lines)
	}

	if got := evaluate[string](t, p.tab, fmt.Sprintf(ask, p.up.url("other.localhost", "/api/echo"))); got != "refused" {
		t.Errorf("the other origin answers %q", got)
	}
	if urls, lines := p.asked(http.MethodOptions), p.demo.api.asked("OPTIONS"); len(urls) != 1 || len(lines) != 1 {
		t.Errorf("a foreign origin's preflight is seen %d times by Chromium and %d times by the API, want 1", len(urls), len(lines))
	}
}

// receivesEvents reads a stream that never ends: what arrives has not been
// held back until its end.
func (p *shopPage) receivesEvents(t *testing.T) {
	got := evaluate[[]string](t, p.tab, `new Promise((resolve, reject) => {
	  const ids = [], source = new EventSource('/api/events?every=20');
	  source.onerror = () => reject(new Error('the stream broke after ' + ids));
	  source.onmessage = e => {
	    ids.push(e.lastEventId + (source.readyState === EventSource.OPEN ? '' : ' closed'));
	    if (ids.length === 8) { source.close(); resolve(ids) }
	  };
	})`)
	if want := []string{"1", "2", "3", "4", "5", "6", "7", "8"}; !slices.Equal(got, want) {
		t.Errorf("the events are %q, want %q", got, want)
	}
	p.await(t, "Number("+testID("event-count")+") > 3")
	if lost := evaluate[string](t, p.tab, testID("event-lost")); lost != "0" {
		t.Errorf("the page's own stream lost %s events", lost)
	}
}

func (p *shopPage) echoes(t *testing.T) {
	p.say(t, "across the proxy")
}

// say sends a message through the page's form and waits for its echo.
func (p *shopPage) say(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx,
		chromedp.SendKeys(chromedp.CSS(`[data-testid="ws-input"]`), text),
		chromedp.Click(chromedp.CSS(`[data-testid="ws-send"]`)))
	if err != nil {
		t.Fatal(err)
	}
	p.await(t, fmt.Sprintf("%s.includes(%q)", testID("ws-log"), text))
}

// pageState is the state that a reload would lose.
type pageState struct {
	Loads, Counter, LoadedAt, Mark, SocketsOpened, EventsLost string
}

func (p *shopPage) state(t *testing.T) pageState {
	t.Helper()
	return pageState{
		Loads:         evaluate[string](t, p.tab, "String(window.__loads)"),
		Counter:       evaluate[string](t, p.tab, testID("counter")),
		LoadedAt:      evaluate[string](t, p.tab, "document.documentElement.dataset.loadedAt"),
		Mark:          evaluate[string](t, p.tab, "String(window.__mark)"),
		SocketsOpened: evaluate[string](t, p.tab, testID("ws-opened")),
		EventsLost:    evaluate[string](t, p.tab, testID("event-lost")),
	}
}

// replaces edits a module: Vite sends it through its WebSocket.
func (p *shopPage) replaces(t *testing.T) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	add := chromedp.Click(chromedp.CSS(`[data-testid="counter-add"]`))
	if err := chromedp.Do(ctx, add, add, add); err != nil {
		t.Fatal(err)
	}
	evaluate[string](t, p.tab, "window.__mark = 'set by the test'")
	before := p.state(t)
	if before.Counter != "3" || before.Loads != "1" {
		t.Fatalf("the page begins with %+v", before)
	}
	p.edit(t, "Replaced while hot")
	if diff := cmp.Diff(before, p.state(t)); diff != "" {
		t.Errorf("the page's state changed (-before +after):\n%s", diff)
	}
}

// edit saves a new headline and waits for the page to show it.
func (p *shopPage) edit(t *testing.T, headline string) {
	t.Helper()
	module := filepath.Join(p.demo.dir, "web", "src", "message.js")
	if err := os.WriteFile(module, fmt.Appendf(nil, "export const message = %q\n", headline), 0o600); err != nil {
		t.Fatal(err)
	}
	p.await(t, fmt.Sprintf("%s === %q", testID("message"), headline))
}

// survivesSaves: the page holds three streams (Vite's WebSocket, the API's and
// its events), and none may notice fifty plans.
func (p *shopPage) survivesSaves(t *testing.T) {
	const saves, streams = 50, 3
	before := p.state(t)
	client := p.up.client("h2")
	for i := range saves {
		route := fmt.Sprintf(`route "/healthz" { respond = { status = 200, body = "save %d" } }`, i)
		p.up.save("Proxyfile", strings.Replace(p.proxyfile, healthzLine, route, 1))
		e := p.up.await("applied")
		onlyHealthz := slices.Equal(e.Changed, []string{"shop.localhost/healthz"}) && len(e.Added)+len(e.Removed) == 0
		if e.Dropped != 0 || e.Kept != streams || !onlyHealthz {
			t.Errorf("save %d: %s; want %d connections kept", i, e.Line, streams)
		}
		if status, body := fetch(t, client, p.up.url("shop.localhost", "/healthz")); status != 200 || body != fmt.Sprintf("save %d", i) {
			t.Errorf("after save %d: %d %q", i, status, body)
		}
	}
	if diff := cmp.Diff(before, p.state(t)); diff != "" {
		t.Errorf("the page's state changed (-before +after):\n%s", diff)
	}
	opened, closed := p.webSockets()
	if len(opened) != 2 || closed != nil {
		t.Errorf("WebSockets opened: %q, closed: %q; want the two of the page, none closed", opened, closed)
	}
	p.say(t, "after fifty saves")
	p.edit(t, "Replaced after fifty saves")
	if diff := cmp.Diff(before, p.state(t)); diff != "" {
		t.Errorf("the page's state changed by the last replacement (-before +after):\n%s", diff)
	}
}

// waitingPage opens a host whose server is not there yet. Its socket is a file,
// which no one else can take in between, as they could a port.
func waitingPage(t *testing.T, p *tab, u *upProcess) {
	status, err := p.visit(u.url("late.localhost", "/"))
	if err != nil || status != http.StatusServiceUnavailable {
		t.Fatalf("the late host answers %d, %v; want the waiting page, 503", status, err)
	}
	p.await(t, "document.body.innerText.includes('Nothing is listening')")

	listener, err := net.Listen("unix", filepath.Join(u.dir, "late.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<h1 id=late>better late</h1>")
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	p.awaitLoad(t, "document.getElementById('late') !== null")
}

// seesTheEnd stops devproxy while the page is open: a WebSocket is told so.
func (p *shopPage) seesTheEnd(t *testing.T) {
	evaluate[bool](t, p.tab, `new Promise((resolve, reject) => {
	  const ws = new WebSocket('/api/ws');
	  ws.onopen = () => resolve(true);
	  ws.onerror = () => reject(new Error('no WebSocket'));
	  ws.onclose = e => { window.__end = e.code + (e.wasClean ? ' clean' : ' broken') };
	})`)
	if e := p.up.stop(); e.Sockets != 4 {
		t.Errorf("%s; want 4 sockets: the page's three and one more", e.Line)
	}
	p.await(t, "window.__end !== undefined")
	if end := evaluate[string](t, p.tab, "window.__end"); end != "1012 clean" {
		t.Errorf("the WebSocket ends with %q, want \"1012 clean\" (service restart)", end)
	}
}
