package page

import (
	"errors"
	"fmt"
	"html"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// waiting and unknown are the pages of the documentation.
var (
	waiting = Page{
		Status: 503, Title: "Nothing is listening on port 5173 yet.", Lead: OpensItself,
		Quote:    &Quote{"Proxyfile:2", "upstream = 5173"},
		Attempts: []string{"127.0.0.1:5173 connection refused", "[::1]:5173 connection refused"},
		Waited:   12*time.Second + 300*time.Millisecond,
		Hints:    []string{"node (pid 41213, ~/shop/web) listens on 5174. If that is your server: `upstream = 5174`."},
		Poll:     "/.well-known/devproxy/state?path=%2F", RetryAfter: 1,
	}
	unknown = Page{
		Status: 404, Title: "shpo.localhost is not in any Proxyfile served now.", Version: "v1.2.3",
		CodeTitle: "To add it:", Code: `host "shpo.localhost" { upstream = 3000 }`,
	}
	broken = Page{Status: 502, Title: "The upstream did not return a valid response.", Lead: "Upstream :3000 reset the connection before it answered.",
		Quote: &Quote{"Proxyfile:5", `route "/api" { upstream = 3000 }`}, Hints: []string{"Its own output may say why."}}
)

func write(p Page, method string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	if err := p.Write(w, r); err != nil {
		panic(err)
	}
	return w
}

func TestAProgramGetsLinesOfText(t *testing.T) {
	for name, test := range map[string]struct {
		page Page
		want string
	}{
		"waiting": {waiting, `Nothing is listening on port 5173 yet.
Proxyfile:2  upstream = 5173
127.0.0.1:5173 connection refused
[::1]:5173 connection refused
waited 13 s
node (pid 41213, ~/shop/web) listens on 5174. If that is your server: ` + "`upstream = 5174`" + `.
`},
		"unknown": {unknown, `shpo.localhost is not in any Proxyfile served now.
To add it:
  host "shpo.localhost" { upstream = 3000 }
devproxy v1.2.3
`},
		"broken": {broken, `The upstream did not return a valid response.
Upstream :3000 reset the connection before it answered.
Proxyfile:5  route "/api" { upstream = 3000 }
Its own output may say why.
`},
		"hostile": {Page{Status: 404, Title: "a\nb\x1b[2J\u009bc\u202ed\xff"}, "a\ufffdb\ufffd[2J\ufffdc\ufffdd\ufffd\n"},
	} {
		w := write(test.page, "GET", "Accept", "*/*")
		if diff := cmp.Diff(test.want, w.Body.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if w.Code != test.page.Status || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

func TestWhoGetsHTML(t *testing.T) {
	for _, test := range []struct {
		dest, accept string
		want         bool
	}{
		{"document", "text/html", true}, {"document", "*/*", false}, {"iframe", "text/html;q=0.5", true}, {"", "text/html;q=0", false}, {"empty", "text/html", false}, {"script", "*/*", false},
		{"", "text/html,application/xhtml+xml", true}, {"", "*/*", false}, {"", "application/json", false},
	} {
		w := write(waiting, "GET", "Sec-Fetch-Dest", test.dest, "Accept", test.accept)
		if got := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html"); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestHeadersOfThePage(t *testing.T) {
	w := write(waiting, "GET", "Accept", "text/html")
	header := w.Header()
	if header.Get("Cache-Control") != "no-store" || header.Get("Retry-After") != "1" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header = %v", header)
	}
	if h := write(unknown, "GET").Header(); h.Get("Retry-After") != "" {
		t.Error("a page that will not change asks to be tried again")
	}
	head := write(waiting, "HEAD", "Accept", "text/html")
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") != header.Get("Content-Length") || head.Code != 503 {
		t.Errorf("HEAD: %d bytes, %v", head.Body.Len(), head.Header())
	}
}

// A policy with the wrong hash would switch the page off in silence.
func TestThePolicyAllowsExactlyWhatThePageHolds(t *testing.T) {
	w := write(waiting, "GET", "Accept", "text/html")
	policy, body := w.Header().Get("Content-Security-Policy"), w.Body.String()
	for _, element := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(body, -1)
		if len(found) != 1 || !strings.Contains(policy, element+"-src '"+Hash(found[0][1])+"'") {
			t.Errorf("%d <%s> elements, policy %s", len(found), element, policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
	if external := regexp.MustCompile(`(?:src|href)="(https?:)?//`).FindString(body); external != "" {
		t.Errorf("the page loads from elsewhere: %s", external)
	}
	if regexp.MustCompile(`\s(style|on[a-z]+)="`).MatchString(body) {
		t.Error("an inline attribute, which the policy forbids")
	}
}

func TestEverythingIsEscaped(t *testing.T) {
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>&`
	p := Page{Status: 503, Title: evil, Lead: evil, Quote: &Quote{evil, evil}, Attempts: []string{evil}, Hints: []string{evil + "`" + evil + "`"},
		Version: evil, CodeTitle: evil, Code: evil, Poll: evil}
	body := write(p, "GET", "Accept", "text/html").Body.String()
	if strings.Count(body, "<script") != 1 || strings.Contains(body, "<img") || strings.Contains(body, `href="javascript:`) {
		t.Error(body)
	}
	if n := strings.Count(html.UnescapeString(body), evil); n < 9 {
		t.Errorf("the text is shown %d times", n)
	}
	if !strings.Contains(body, "data-poll=\"&lt;script&gt;") {
		t.Error("the polled path is not escaped as an attribute")
	}
}

func TestOnlyAPageThatWaitsPolls(t *testing.T) {
	for _, p := range []Page{unknown, broken} {
		if body := write(p, "GET", "Accept", "text/html").Body.String(); strings.Contains(body, "<script") || strings.Contains(body, "refresh") {
			t.Errorf("%d reloads itself", p.Status)
		}
	}
	body := write(waiting, "GET", "Accept", "text/html").Body.String()
	for _, part := range []string{`data-poll="/.well-known/devproxy/state?path=%2F"`, `<noscript><meta http-equiv="refresh" content="2"></noscript>`, `data-seconds="13"`} {
		if !strings.Contains(body, part) {
			t.Errorf("the waiting page lacks %s", part)
		}
	}
}

func TestBackticksBecomeCode(t *testing.T) {
	for hint, want := range map[string][]piece{
		"plain":     {{"plain", false}},
		"a `b` c":   {{"a ", false}, {"b", true}, {" c", false}},
		"`b``c`":    {{"b", true}, {"c", true}},
		"a ` b":     {{"a ` b", false}},
		"`a` b ` c": {{"a", true}, {" b ` c", false}},
	} {
		if diff := cmp.Diff(want, pieces(hint)); diff != "" {
			t.Errorf("%q: %s", hint, diff)
		}
	}
}

func TestAVisitorsPageSaysNothingOfUs(t *testing.T) {
	body := write(visitorPage(), "GET", "Accept", "text/html").Body.String()
	for _, part := range []string{"<h1>This site is restarting.</h1>", `<p class="lead">The page opens by itself.</p>`, "data-poll", "<footer>devproxy</footer>"} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	shown := strings.ReplaceAll(strings.Replace(body, "<footer>devproxy</footer>", "", 1), "/.well-known/devproxy/state", "")
	if strings.Contains(shown, "devproxy") || strings.Contains(shown, `id="waited"`) {
		t.Errorf("the page tells too much:\n%s", shown)
	}
	if text := write(visitorPage(), "GET", "Accept", "*/*").Body.String(); text != "This site is restarting.\n" {
		t.Errorf("a program reads %q", text)
	}
}

// TestPublicPage: people get a page of the relay, and programs get text.
func TestPublicPage(t *testing.T) {
	const html = "text/html,*/*;q=0.8"
	asleep := Page{Status: 503, Title: "It sleeps.", Lead: "It wakes.", Hints: []string{"Yours? Run `devproxy share` now."}, RetryAfter: 10, Public: true}
	text := "It sleeps.\nIt wakes.\nYours? Run `devproxy share` now.\n"
	for name, c := range map[string]struct {
		page          Page
		method        string
		accept, dest  string
		html, refresh bool
		text          string
	}{
		"a navigation":             {asleep, "GET", html, "document", true, true, ""},
		"a browser without Fetch":  {asleep, "GET", "TEXT/HTML", "", true, true, ""},
		"a frame":                  {asleep, "GET", html, "frame", true, true, ""},
		"an inner frame":           {asleep, "GET", html, "iframe", true, true, ""},
		"its head":                 {asleep, "HEAD", html, "document", true, false, ""},
		"a form":                   {asleep, "POST", html, "document", true, false, ""},
		"fetch":                    {asleep, "GET", html, "empty", false, false, text},
		"an image":                 {asleep, "GET", html, "image", false, false, text},
		"curl":                     {asleep, "GET", "*/*", "", false, false, text},
		"its head without a body":  {asleep, "HEAD", "*/*", "", false, false, ""},
		"a page that stays":        {Page{Status: 404, Title: "No.", Public: true}, "GET", html, "document", true, false, ""},
		"text of a title alone":    {Page{Status: 404, Title: "No.", Public: true}, "GET", "", "", false, false, "No.\n"},
		"text without more to do":  {Page{Status: 404, Title: "No.", Lead: "None.", Public: true}, "GET", "", "", false, false, "No.\nNone.\n"},
		"a page that is soon over": {Page{Status: 503, Title: "No.", RetryAfter: 1, Public: true}, "GET", html, "document", true, true, ""},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Header.Set("Accept", c.accept)
		r.Header.Set("Sec-Fetch-Dest", c.dest)
		w := httptest.NewRecorder()
		if err := c.page.Write(w, r); err != nil {
			t.Fatal(err)
		}
		h, body := w.Header(), w.Body.String()
		if w.Code != c.page.Status || h.Get("X-Robots-Tag") != "noindex" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") != "Accept, Sec-Fetch-Dest" {
			t.Errorf("%s: %d %v", name, w.Code, h)
		}
		retry := ""
		if c.page.RetryAfter > 0 {
			retry = fmt.Sprint(c.page.RetryAfter)
		}
		if h.Get("Retry-After") != retry {
			t.Errorf("%s: Retry-After is %q, want %q", name, h.Get("Retry-After"), retry)
		}
		kind, policed := "text/plain; charset=utf-8", ""
		if c.html {
			kind, policed = "text/html; charset=utf-8", "default-src 'none'; style-src '"+Hash(Style())+"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
		}
		if h.Get("Content-Type") != kind || h.Get("Content-Security-Policy") != policed {
			t.Errorf("%s: %v", name, h)
		}
		if c.method == "HEAD" {
			if body != "" || h.Get("Content-Length") == "0" {
				t.Errorf("%s: %q of %s bytes", name, body, h.Get("Content-Length"))
			}
			continue
		}
		if h.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s: %s bytes are announced, and %d come", name, h.Get("Content-Length"), len(body))
		}
		if !c.html && body != c.text {
			t.Errorf("%s: %q, want %q", name, body, c.text)
		}
		refresh := fmt.Sprintf(`http-equiv="refresh" content="%d"`, max(5, c.page.RetryAfter)) // a browser does not hurry
		if c.html && (!strings.Contains(body, "<h1>"+c.page.Title+"</h1>") || strings.Contains(body, refresh) != c.refresh || strings.Contains(body, "refresh") != c.refresh) {
			t.Errorf("%s: %s", name, body)
		}
	}
	if got := Inline("a\r\nb\n"); got != "a\nb\n" {
		t.Errorf("%q", got)
	}
}

// shown is an error with a page.
type shown struct {
	text string
	page Page
}

func (e shown) Error() string { return e.text }
func (e shown) Page() Page    { return e.page }

// TestFor: an error's text becomes the lead, unless the page has one or its title is
// the text; errors that wrap it do not matter, and others have no page.
func TestFor(t *testing.T) {
	for _, test := range []struct {
		err   error
		known bool
		lead  string
	}{
		{shown{"the disk is full", Page{Status: 500, Title: "This failed."}}, true, "The disk is full."},
		{fmt.Errorf("serve: %w", shown{"the disk is full", Page{Title: "This failed."}}), true, "The disk is full."},
		{shown{"the disk is full", Page{Title: "This failed.", Lead: "Why?"}}, true, "Why?"},
		{shown{"the disk is full", Page{Title: "the disk is full."}}, true, ""},
		{shown{"", Page{Title: "This failed."}}, true, ""},
		{errors.New("anything else"), false, ""},
		{nil, false, ""},
	} {
		got, known := For(test.err)
		if known != test.known || got.Lead != test.lead {
			t.Errorf("%v: %+v, %t", test.err, got, known)
		}
	}
}

// TestGRPCForm: a gRPC call gets a status with the title and the lead, without the
// lead of a page that opens by itself; a page's own fields are sent in every form.
func TestGRPCForm(t *testing.T) {
	for _, test := range []struct {
		page    Page
		message string
	}{
		{Page{Status: 503, Title: "Not yet.", Lead: OpensItself}, "Not yet."},
		{Page{Status: 503, Title: "Not yet.", Lead: OpensLater}, "Not yet."},
		{Page{Status: 502, Title: "Lost.", Lead: "It broke off."}, "Lost. It broke off."},
	} {
		test.page.Header = map[string][]string{"Allow": {"GET"}}
		r := httptest.NewRequest("POST", "/a.B/C", nil)
		r.ProtoMajor = 2
		r.Header.Set("Content-Type", "application/grpc")
		w := httptest.NewRecorder()
		if err := test.page.Write(w, r); err != nil {
			t.Fatal(err)
		}
		if got := w.Header(); w.Code != 200 || got.Get("Grpc-Message") != test.message || got.Get("Grpc-Status") != "14" || got.Get("Allow") != "GET" || w.Body.Len() > 0 {
			t.Errorf("%d %v %q", w.Code, got, w.Body)
		}
		if got := write(test.page, "GET").Header().Get("Allow"); got != "GET" {
			t.Errorf("Allow is %q", got)
		}
	}
}
