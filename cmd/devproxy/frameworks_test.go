//go:build e2e && frameworks && unix

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/share"
)

// updateCorpora rewrites the lists of URLs that browsers ask for.
var updateCorpora = flag.Bool("update", false, "rewrite devproxy/share/testdata/open")

const frameworkCorpora = "../../devproxy/share/testdata/open"

// framework is a real dev server with a small app, shared with visitors.
type framework struct {
	name   string
	of     string   // the recipe; empty for the one of this name
	npm    []string // instead of the recipe's packages; nil for those
	build  []string // into out; nil builds nothing
	out    string
	pages  []string
	clicks string // the id of a link to click on the first page
	hot    edit
	// form is the status with which the framework refuses the form of its first page
	// where it isn't told plain HTTP; 0 for a page without a form.
	form int
	// urls is a page with local URLs; its zero value is none.
	urls urls
	// shows is what the headline of the first page comes to show; empty for anything.
	shows string
	// hidden are requests to the tools, each "METHOD PATH [BODY]". None may be
	// answered by the framework.
	hidden []string
	// boom are pages that fail: "PATH [HEADER VALUE]". The visitor may read that
	// they do, and nothing of why.
	boom []string
	// attacks are further steps.
	attacks []func(*testing.T, *sharedFramework)
	// advised is part of what devproxy says of the version; empty for nothing.
	advised string
}

// edit is a change of a source file that shows without a reload.
type edit struct{ file, old, new string }

// sharedFramework is a framework behind a real share.
type sharedFramework struct {
	*framework
	recipe  *recipe
	relay   *devRelay
	project *sharedProject
	dir     string
	local   string // the dev server's own address
	here    string // the local origin
	plain   string // the local origin without forwarded_proto; for a form
	base    string // of the link
	built   string // of the built app; empty for none

	advisories []string // what devproxy says of the server's version
}

func frameworks() []*framework {
	vite := func(name, version string) *framework {
		return &framework{
			name: name, of: "vite", npm: []string{"vite@" + version},
			build: []string{"node_modules/.bin/vite", "build"}, out: "dist",
			pages: []string{"/"}, hot: edit{"src/headline.js", "before", "after"},
			hidden: []string{
				"GET /__open-in-editor?file=index.html", "GET /.env", "GET /.env?raw", "GET /.env?import&raw??", "GET /@fs/etc/passwd?raw",
				"GET /@id/.env", "GET /@fs{dir}/.env?raw", "GET /@fs{dir}/../x", "GET /.env::$DATA?raw",
			},
			urls: urls{
				path: "/urls.html", counts: true, hot: edit{"src/hot.js", "before", "after"},
				facts: []string{"script", "encoded", "inline", "json", "state", "query", "canonical", "style", "started", "map"},
			},
			attacks: []func(*testing.T, *sharedFramework){callVite("")}, advised: map[string]string{"7.3.1": "vite 7.3.1 "}[version],
		}
	}
	return []*framework{
		vite("vite", "8.4.0"),
		vite("vite-7.3.1", "7.3.1"),
		{
			name:  "webpack",
			build: []string{"sh", "-c", "node_modules/.bin/webpack --mode production && cp public/index.html dist"}, out: "dist",
			pages: []string{"/"}, hot: edit{"src/headline.js", "before", "after"},
			hidden: []string{
				"GET /webpack-dev-server", "GET /webpack-dev-server/", "GET /webpack-dev-server/open-editor?fileName=src/index.js",
				"GET /webpack-dev-server/invalidate", "GET /Webpack-Dev-Server/open-editor?fileName=src/index.js",
			},
		},
		{
			name:  "next",
			build: []string{"env", "EXPORT=1", "node_modules/.bin/next", "build"}, out: "out",
			pages: []string{"/", "/about"}, clicks: "about", hot: edit{"app/headline.js", "before", "after"},
			urls: urls{path: "/urls", facts: []string{"url", "text", "dollar", "bytes", "acted"}, again: "again", counts: true},
			hidden: []string{
				"GET /__nextjs_launch-editor?file=app/page.js&line1=1&column1=1", "GET /__nextjs_launch-editor?isAppRelativePath=1&file=app/page.js",
				`POST /__nextjs_original-stack-frames {"frames":[],"isServer":true}`, "GET /__nextjs_source-map?filename={dir}/app/page.js",
				"POST /__nextjs_restart_dev", "GET /__nextjs_server_status", "POST /__nextjs_attach-nodejs-inspector",
				"POST /__nextjs_disable_dev_indicator", "POST /__nextjs_devtools_config {}", "POST /__nextjs_error_feedback?errorCode=E1&wasHelpful=true",
				`POST /_next/mcp {"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "GET /.env", "GET /docs/..%2f.env",
			},
			attacks: []func(*testing.T, *sharedFramework){logToNext},
		},
		{
			name:  "storybook",
			build: []string{"node_modules/.bin/storybook", "build", "-o", "dist"}, out: "dist",
			pages:   []string{"/iframe.html?id=button--primary&viewMode=story", "/?path=/story/button--primary"},
			hot:     edit{"src/headline.js", "before", "after"},
			hidden:  []string{"GET /__open-in-editor?file=src/button.stories.js", "GET /.env", "GET /@fs/etc/passwd?raw"},
			attacks: []func(*testing.T, *sharedFramework){callVite(""), saveStory},
		},
		{
			name:  "nuxt",
			pages: []string{"/", "/about"}, clicks: "about", hot: edit{"app/pages/index.vue", "before", "after"},
			urls: urls{path: "/urls", facts: []string{"state", "map", "data", "config", "canonical", "link"}, again: "again", counts: true},
			hidden: []string{
				"GET /__nuxt_devtools__/client/", "GET /__open-in-editor?file=app/app.vue", "GET /_nuxt/__open-in-editor?file=app/app.vue",
				"GET /_vfs.json", "GET /_nitro/tasks", "GET /_nuxt/@fs/etc/passwd?raw", "GET /.env", "GET /_nuxt/.env?raw",
				"GET /__nuxt_vite_node__/manifest",
			},
			attacks: []func(*testing.T, *sharedFramework){callVite("/_nuxt")},
		},
		{
			name:  "astro",
			pages: []string{"/"}, form: http.StatusForbidden,
			urls:   urls{path: "/urls", facts: []string{"url", "list", "at", "link", "inline", "canonical", "own"}, counts: true},
			hidden: []string{"GET /__open-in-editor?file=src/pages/index.astro", "GET /.env", "GET /@fs/etc/passwd?raw"},
		},
		{
			name:  "reactrouter",
			pages: []string{"/"}, form: http.StatusBadRequest, advised: "vite 7.3.1 ",
			hidden: []string{"GET /__open-in-editor?file=app/home.jsx", "GET /.env", "GET /@fs/etc/passwd?raw"},
		},
		{
			name:  "express",
			pages: []string{"/"}, shows: "found",
		},
		{
			name:  "flask",
			pages: []string{"/"},
			hidden: []string{
				"GET /?__debugger__=yes&cmd=resource&f=debugger.js", "GET /boom?__debugger__=yes&cmd=printpin&s=x", "GET /console", "GET /?%5f_debugger__=yes&cmd=pinauth&pin=1&s=x",
			},
			boom: []string{"/boom", "/boom Accept text/plain", "/boom Accept-Encoding gzip"},
		},
		{
			name:  "django",
			pages: []string{"/"}, form: http.StatusForbidden,
			urls: urls{path: "/urls", facts: []string{"state", "list", "script", "canonical", "next", "sheet", "posted", "parts", "form"}},
			boom: []string{
				"/boom", "/boom Accept text/plain", "/boom Accept application/json", "/boom X-Requested-With XMLHttpRequest", "/missing", "/missing Accept application/json",
			},
		},
		{
			name:   "rails",
			pages:  []string{"/"},
			urls:   urls{path: "/urls", facts: []string{"script", "state", "html", "canonical", "sheet", "streamed"}},
			hidden: []string{"GET /rails/info/routes", "GET /rails/info/properties", "GET /rails/mailers", "GET /rails/info/routes.json", "PUT /__web_console/repl_sessions/0"},
			boom: []string{
				"/boom", "/boom Accept text/plain", "/boom Accept application/json", "/boom X-Requested-With XMLHttpRequest", "/boom.json", "/missing", "/missing.json Accept application/json",
			},
		},
	}
}

// TestFrameworks has visitors use and attack real frameworks through a share.
func TestFrameworks(t *testing.T) {
	relay := startDevRelay(t)
	trustChromium(t, relay.upProcess)
	browser, remote := startChromium(t, relay.upProcess), startRemoteChromium(t, relay)
	for _, f := range frameworks() {
		t.Run(f.name, func(t *testing.T) {
			s := f.share(t, relay)
			page := openTab(t, remote)
			t.Run("pages", func(t *testing.T) { s.opens(t, page, s.base) })
			if f.hot.file != "" {
				t.Run("hot replacement", func(t *testing.T) { s.replaces(t, page, f.hot.old, f.hot.new) })
			}
			t.Run("requests", func(t *testing.T) { s.compares(t, page, f.name, s.base) })
			if f.urls.path != "" {
				t.Run("local URLs", func(t *testing.T) { s.isLocalFree(t, remote) })
			}
			if said := strings.Join(s.advisories, "; "); !strings.Contains(said, f.advised) || f.advised == "" && said != "" {
				t.Errorf("devproxy says of the version: %q, want %q", said, f.advised)
			}
			t.Run("local", func(t *testing.T) { s.worksHere(t, openTab(t, browser)) })
			if f.form != 0 {
				t.Run("form", func(t *testing.T) { s.sends(t, openTab(t, browser), s.base) })
			}
			t.Run("tools", s.hides)
			t.Run("errors", s.fails)
			for i, attack := range f.attacks {
				t.Run(fmt.Sprintf("attack %d", i+1), func(t *testing.T) { attack(t, s) })
			}
			if s.built != "" {
				built := openTab(t, remote)
				t.Run("built pages", func(t *testing.T) { s.opens(t, built, s.built) })
				t.Run("built requests", func(t *testing.T) { s.compares(t, built, f.name+"-built", s.built) })
			}
		})
	}
}

// share installs, builds, starts and shares f.
func (f *framework) share(t *testing.T, relay *devRelay) *sharedFramework {
	t.Helper()
	r := readRecipe(t, cmp.Or(f.of, f.name))
	packages := r.packages
	if f.npm != nil {
		packages = f.npm
	}
	s := &sharedFramework{framework: f, recipe: r, relay: relay, dir: r.install(t, f.name, packages)}
	saveFile(t, filepath.Join(s.dir, ".env"), "SECRET="+ofTheProject+"\n")
	proxyfile := ""
	if f.build != nil {
		command := append([]string{"-c", `cd "$0" && exec "$@"`, s.dir}, f.build...)
		if out, err := runTool(t, frameworkPatience, append(frameworkEnv(), "CI=1"), "/bin/sh", command...); err != nil {
			t.Fatalf("%q: %v\n%s", f.build, err, out)
		}
		proxyfile = fmt.Sprintf("host \"built.localhost\" { files = %q }\n", f.out)
	}
	port := r.run(t, s.dir, f.pages[0])
	s.local = "http://localhost:" + port
	if f.form == 0 {
		proxyfile += fmt.Sprintf("host \"shop.localhost\" { upstream = %s }\n", port)
	} else {
		proxyfile += fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %s\n  forwarded_proto = \"http\"\n}\nhost \"plain.localhost\" {\n  upstream = %[1]s\n  share = false\n}\n", port)
	}
	saveFile(t, filepath.Join(s.dir, "Proxyfile"), proxyfile)
	project := relay.share(t, s.dir, nil)
	s.base = "https://" + project.host("shop.localhost")
	s.project = project
	s.here, s.plain = project.url("shop.localhost", ""), project.url("plain.localhost", "")
	s.advisories = project.advisories
	if f.build != nil {
		s.built = "https://" + project.host("built.localhost")
	}
	return s
}

// sees waits for a JavaScript expression to become true, also across loads: dev
// servers load a page again when they have found more to bundle.
func sees(t *testing.T, page *tab, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(page.ctx, 2*patience)
	defer cancel()
	for often := time.NewTicker(50 * time.Millisecond); ; {
		seen, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && seen {
			return
		}
		select {
		case <-often.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v\nthe page is:\n%.2000s", expression, err, page.html(t))
		}
	}
}

// opens opens the pages as a visitor: each shows its headline, or the manager of
// Storybook its tree.
func (s *sharedFramework) opens(t *testing.T, page *tab, base string) {
	open := func(path string) {
		// A page that rewrites its own address could be taken for the next one.
		if _, err := chromedp.Run(page.ctx, chromedp.Navigate("about:blank")); err != nil {
			t.Fatal(err)
		}
		if status, err := page.visit(base + path); err != nil || status >= 400 {
			t.Fatalf("%s answers %d: %v", path, status, err)
		}
		sees(t, page, `!!document.querySelector('#headline')?.textContent || !!document.querySelector('#button--primary')`)
	}
	for _, path := range slices.Backward(s.pages) {
		open(path)
	}
	if s.shows != "" {
		sees(t, page, fmt.Sprintf(`document.querySelector('#headline')?.textContent === '%s'`, s.shows))
	}
	if s.clicks != "" {
		// Once for each load.
		sees(t, page, fmt.Sprintf(`(window.clicked ??= document.querySelector('#%s') && (document.querySelector('#%[1]s').click(), true), document.querySelector('#headline')?.textContent === 'about')`, s.clicks))
		open(s.pages[0])
	}
	sees(t, page, `[...document.images].every(i => i.complete && i.naturalWidth > 0)`)
	if s.recipe.name == "vite" {
		sees(t, page, `window.facts?.lazy === 'lazy' && window.facts?.worker === 'worker' && window.facts?.day === 86400000`)
	}
}

// worksHere uses the framework without a share: its pages, a form and hot
// replacement, which goes back to what a visitor has replaced.
func (s *sharedFramework) worksHere(t *testing.T, page *tab) {
	t.Run("pages", func(t *testing.T) { s.opens(t, page, s.here) })
	if s.hot.file != "" {
		t.Run("hot replacement", func(t *testing.T) { s.replaces(t, page, s.hot.new, s.hot.old) })
	}
	if s.form != 0 {
		t.Run("form", func(t *testing.T) { s.sends(t, page, s.here) })
		t.Run("form without forwarded_proto", func(t *testing.T) {
			if got := ask(t, s.project.client("h1"), "POST", s.plain+s.pages[0], "name=Ann", "Origin", s.plain, "Content-Type", "application/x-www-form-urlencoded"); got.status != s.form {
				t.Errorf("answers %d, want %d: nothing is proven\n%.300s", got.status, s.form, got.body)
			}
		})
	}
}

// sends sends the form of the first page.
func (s *sharedFramework) sends(t *testing.T, page *tab, base string) {
	if status, err := page.visit(base + s.pages[0]); err != nil || status >= 400 {
		t.Fatalf("%d: %v", status, err)
	}
	sees(t, page, `(window.sent ??= document.querySelector('#send') && (document.querySelector('#send').click(), true), document.querySelector('#headline')?.textContent === 'sent Ann')`)
}

// replaces edits a source file and sees it in the page, which stays.
func (s *sharedFramework) replaces(t *testing.T, page *tab, before, after string) {
	sees(t, page, fmt.Sprintf(`(window.kept = true, document.querySelector('#headline')?.textContent === '%s')`, before))
	s.edit(t, edit{s.hot.file, before, after})
	sees(t, page, fmt.Sprintf(`document.querySelector('#headline')?.textContent === '%s'`, after))
	if !evaluate[bool](t, page, `window.kept === true`) {
		t.Error("the page was loaded again")
	}
}

// edit edits a source file.
func (s *sharedFramework) edit(t *testing.T, e edit) {
	t.Helper()
	file := filepath.Join(s.dir, e.file)
	text := readText(t, file)
	if !strings.Contains(text, e.old) {
		t.Fatalf("%s does not contain %q", e.file, e.old)
	}
	saveFile(t, file, strings.Replace(text, e.old, e.new, 1))
}

// compares what the browser asked for with the corpus of URLs that must be open.
func (s *sharedFramework) compares(t *testing.T, page *tab, name, base string) {
	seen := map[string]bool{}
	page.mu.Lock()
	for _, urls := range page.methods {
		for _, asked := range urls {
			if path, own := strings.CutPrefix(asked, base); own && path != "" {
				seen[s.normal(path)] = true
			}
		}
	}
	page.mu.Unlock()
	guard, err := share.New(share.Options{Hosts: []share.Host{{Local: "shop.localhost", Public: "shop.example.com"}}, Root: "/home/me/shop"})
	if err != nil {
		t.Fatal(err)
	}
	for path := range seen {
		if hit, hidden := guard.Hides(path); hidden {
			t.Errorf("%s is hidden: %s", path, hit.What)
		}
	}
	file := filepath.Join(frameworkCorpora, "recorded-"+name+".txt")
	known := map[string]bool{}
	text, err := os.ReadFile(file)
	if err != nil && !*updateCorpora {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		known[unstamped(strings.TrimRight(line, "\n"))] = true
	}
	if *updateCorpora {
		var lines []string
		for path := range seen {
			lines = append(lines, path)
		}
		slices.Sort(lines)
		if err := os.MkdirAll(frameworkCorpora, 0o755); err != nil {
			t.Fatal(err)
		}
		saveFile(t, file, "# Recorded by make frameworks.\n"+strings.Join(lines, "\n")+"\n")
		return
	}
	for path := range seen {
		if !known[unstamped(path)] {
			t.Errorf("%s is not in %s: run make frameworks UPDATE=1", path, file)
		}
	}
}

// stamp is the time that Vite adds to the URL of a module that has changed.
var stamp = regexp.MustCompile(`([?&])t=1700000000000(?:&|$)`)

// unstamped is a normal path without Vite's timestamp. Which modules have one
// depends on whether Vite took the copying of the sources for a change.
func unstamped(path string) string {
	return strings.TrimRight(stamp.ReplaceAllString(path, "$1"), "?&")
}

// variable are the parts of URLs that differ from run to run or from machine to
// machine, and what replaces them in a corpus.
var variable = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`([?&](?:v|hash|h)=)[0-9a-fA-F]{8,}`), "${1}0a1b2c3d"},
	{regexp.MustCompile(`([?&](?:t|ts|v)=)[0-9a-z]{5,}`), "${1}1700000000000"},
	{regexp.MustCompile(`([?&]_rsc=)[^&]+`), "${1}2Md0sTUZcnjCijMr"},
	{regexp.MustCompile(`(/_next/static/.*?)[0-9a-z_~-]{13}((?:\._)?\.(?:js|css))$`), "${1}0a1b-2c3d_4e5${2}"},
	{regexp.MustCompile(`([?&](?:id|token)=)[0-9A-Za-z_-]{20,}`), "${1}0123456789abcdefghijk"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "01234567-89ab-cdef-0123-456789abcdef"},
	{regexp.MustCompile(`\b[0-9a-f]{20,}\b`), "0123456789abcdef0123"},
}

// normal is a path without what differs.
func (s *sharedFramework) normal(path string) string {
	for _, spell := range []func(string) string{strings.Clone, url.PathEscape} {
		path = strings.ReplaceAll(path, spell(s.dir), spell("/home/me/shop"))
	}
	for _, v := range variable {
		path = v.what.ReplaceAllString(path, v.with)
	}
	return path
}

// hides requests the tools. It notes whether the server itself answers them,
// since a request without an answer proves nothing.
func (s *sharedFramework) hides(t *testing.T) {
	client := s.relay.visitor(t, "h2")
	for _, line := range s.hidden {
		line = strings.ReplaceAll(line, "{dir}", s.dir)
		method, rest, _ := strings.Cut(line, " ")
		path, body, _ := strings.Cut(rest, " ")
		got := ask(t, client, method, s.base+path, body, "Accept", "text/html")
		if got.status != http.StatusNotFound || !strings.Contains(got.body, "This page does not exist.") {
			t.Errorf("%s answers %d: %.200s", line, got.status, got.body)
		}
	}
	for _, line := range s.hidden {
		line = strings.ReplaceAll(line, "{dir}", s.dir)
		if strings.Contains(line, "editor") || strings.Contains(line, "restart") || strings.Contains(line, "inspector") {
			continue // these act
		}
		method, rest, _ := strings.Cut(line, " ")
		path, body, _ := strings.Cut(rest, " ")
		direct := ask(t, http.DefaultClient, method, s.local+path, body, "Accept", "text/html")
		t.Logf("%s: the server itself answers %d, %d bytes", line, direct.status, len(direct.body))
	}
}

// fails opens pages that fail.
func (s *sharedFramework) fails(t *testing.T) {
	client := s.relay.visitor(t, "h1")
	for _, line := range s.boom {
		words := append(strings.SplitN(line, " ", 3), "Accept", "text/html")
		path, fields := words[0], words[1:]
		got := ask(t, client, "GET", s.base+path, "", fields[:2]...)
		if got.status < 400 || !strings.Contains(got.body, "This page does not exist.") && !strings.Contains(got.body, "This site did not respond.") {
			t.Errorf("%s answers %d: %.300s", line, got.status, got.body)
		}
		direct := ask(t, http.DefaultClient, "GET", s.local+path, "", fields[:2]...)
		t.Logf("%s: the server itself answers %d, %d bytes", line, direct.status, len(direct.body))
	}
}

// callVite calls the functions of a Vite server, whose base is given.
func callVite(base string) func(*testing.T, *sharedFramework) {
	calls := []string{
		`{"type":"custom","event":"nuxt:devtools:rpc","data":"[{\"m\":1,\"a\":2,\"i\":4,\"t\":5},\"getServerConfig\",[],[],\"1\",\"q\"]"}`,
		`{"type":"custom","event":"vite:invoke","data":{"name":"fetchModule","id":"send:1","data":["file:///etc/passwd?raw"]}}`,
		`{"type":"custom","event":"vite:invoke","data":{"name":"fetchModule","id":"send:1","data":["/.env?raw"]}}`,
	}
	return func(t *testing.T, s *sharedFramework) {
		for _, call := range calls {
			conn := s.relay.hotSocket(t, s.base+base)
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(call)); err != nil {
				t.Fatal(err)
			}
			// Closes the socket where the call has not.
			_ = conn.Write(t.Context(), websocket.MessageText, []byte(calls[1]))
			for {
				_, message, err := conn.Read(t.Context())
				if websocket.CloseStatus(err) == websocket.StatusPolicyViolation {
					break
				}
				if err != nil || strings.Contains(string(message), "invoke") || strings.Contains(string(message), "rpc") {
					t.Fatalf("%.300s, %v", message, err)
				}
			}
		}
	}
}

// saveStory has Storybook's server rewrite a source file.
func saveStory(t *testing.T, s *sharedFramework) {
	file := filepath.Join(s.dir, "src", "button.stories.js")
	before := readText(t, file)
	client := s.relay.visitor(t, "h1")
	page := ask(t, client, "GET", s.base+"/", "").body
	token := regexp.MustCompile(`"wsToken":"([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatalf("Storybook's page has no token: %.2000s", page)
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.base, "https:", "wss:", 1)+"/storybook-server-channel?page=manager&token="+token[1], &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Origin": {s.base}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	call, err := json.Marshal(map[string]any{"type": "saveStoryRequest", "from": "x", "args": []any{map[string]any{"id": "1", "payload": map[string]any{
		"csfId": "button--primary", "importPath": "./src/button.stories.js", "args": `{"label":"stolen"}`, "name": "Stolen",
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), websocket.MessageText, call); err != nil {
		t.Fatal(err)
	}
	// The server's next heartbeat comes after what it would answer.
	ctx, cancel := context.WithTimeout(t.Context(), frameworkPatience)
	defer cancel()
	for {
		_, message, err := conn.Read(ctx)
		if err != nil || strings.Contains(string(message), "saveStoryResponse") {
			t.Fatalf("%.300s, %v", message, err)
		}
		if string(message) == `{"type":"ping"}` {
			break
		}
	}
	if readText(t, file) != before {
		t.Error("Storybook has rewritten the file")
	}
}

// logToNext writes to the terminal of Next.
func logToNext(t *testing.T, s *sharedFramework) {
	client := s.relay.visitor(t, "h1")
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.base, "https:", "wss:", 1)+"/_next/hmr?id=x", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Origin": {s.base}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, message := range []string{
		`{"event":"client-full-reload","hadRuntimeError":false,"dependencyChain":["[project]/stolen"]}`, `{"event":"ping"}`,
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
}
