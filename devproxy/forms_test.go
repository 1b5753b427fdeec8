package devproxy

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// plainApp is a framework that believes it is asked over plain HTTP: it refuses
// what comes from another origin than http with its Host, and makes absolute URLs
// of that.
func plainApp(t *testing.T) *httptest.Server {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := "http://" + r.Host
		h := w.Header()
		h.Set("X-Saw", strings.Join([]string{r.Header.Get("Origin"), r.Header.Get("Referer"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Port")}, " "))
		switch r.URL.Path {
		case "/ws":
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{own}})
			if err == nil {
				_ = conn.Close(websocket.StatusNormalClosure, "")
			}
			return
		case "/upgrade":
			http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusFound)
			return
		case "/hints":
			h.Set("Link", "<"+own+"/style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "/kept":
			h.Set("Cache-Control", "max-age=60")
		}
		if origin := r.Header.Get("Origin"); r.Method == http.MethodPost && origin != own {
			http.Error(w, "Cross-site POST form submissions are forbidden", http.StatusForbidden)
			return
		}
		h.Set("Location", own+"/next")
		h.Set("Content-Location", own+"/this")
		h.Set("Refresh", "9; url="+own+"/next")
		h.Set("Link", "<"+own+"/style.css>; rel=preload")
		h.Set("HX-Redirect", own+"/next")
		h.Set("Access-Control-Allow-Origin", own)
		h.Set("Content-Security-Policy", "connect-src ws://"+r.Host)
		h.Set("Content-Security-Policy-Report-Only", "img-src "+own)
	}))
	t.Cleanup(app.Close)
	return app
}

// outward are the fields of plainApp as a browser at origin must see them.
func outwardOf(origin string) map[string]string {
	return map[string]string{
		"Location": origin + "/next", "Content-Location": origin + "/this", "Refresh": "9; url=" + origin + "/next", "Link": "<" + origin + "/style.css>; rel=preload",
		"HX-Redirect": origin + "/next", "Access-Control-Allow-Origin": origin, "Content-Security-Policy": "connect-src " + strings.Replace(origin, "https:", "wss:", 1),
		"Content-Security-Policy-Report-Only": "img-src " + origin,
	}
}

// TestFormsOfPlainApps posts forms to an app that knows plain HTTP alone, here and
// through a share, before and after a save that writes forwarded_proto.
func TestFormsOfPlainApps(t *testing.T) {
	app := plainApp(t)
	file := func(setting string) string {
		return fmt.Sprintf("host \"shop.localhost\" { upstream = service.web }\nservice \"web\" {\n  upstream = %q\n  %s\n}\n", strings.TrimPrefix(app.URL, "http://"), setting)
	}
	s := shareFile(t, file("# not yet"), nil)
	local := strings.TrimSuffix(s.url("/"), "/")
	public := "https://" + publicName
	for _, from := range []struct {
		origin string
		client *http.Client
		base   string
	}{{local, s.client(true), local}, {local, s.client(false), local}, {public, s.visitors(), "http://" + publicName}} {
		s.apply(file(""))
		if got := s.post(from.client, from.base+"/form", "Origin", from.origin); got.status != http.StatusForbidden {
			t.Errorf("%s: without the attribute: %d", from.origin, got.status)
		}
		s.apply(file(`forwarded_proto = "http"`))
		got := s.post(from.client, from.base+"/form", "Origin", from.origin, "Referer", from.origin+"/form?a")
		if got.status != http.StatusOK {
			t.Errorf("%s: %d %s", from.origin, got.status, got.body)
		}
		plain := strings.Replace(local, "https:", "http:", 1)
		if want := fmt.Sprintf("%s %s/form?a http %d", plain, plain, s.port()); got.header.Get("X-Saw") != want {
			t.Errorf("%s: the app saw %q, want %q", from.origin, got.header.Get("X-Saw"), want)
		}
		for name, want := range outwardOf(from.origin) {
			if is := got.header.Get(name); is != want {
				t.Errorf("%s: %s is %q, want %q", from.origin, name, is, want)
			}
		}
		for _, foreign := range []string{"https://evil.example", "null", "https://admin.shop.localhost"} {
			if got := s.post(from.client, from.base+"/form", "Origin", foreign); got.status != http.StatusForbidden || !strings.HasPrefix(got.header.Get("X-Saw"), foreign+" ") {
				t.Errorf("%s: a form of %s: %d, the app saw %q", from.origin, foreign, got.status, got.header.Get("X-Saw"))
			}
		}
	}
}

// post sends an empty form.
func (s *site) post(client *http.Client, url string, fields ...string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	got, err := do(ctx, client, http.MethodPost, url, fields...)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// TestSocketsOfPlainApps opens a WebSocket whose Origin the app compares.
func TestSocketsOfPlainApps(t *testing.T) {
	app := plainApp(t)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  forwarded_proto = \"http\"\n}\n", app.URL), nil)
	local := strings.TrimSuffix(s.url("/"), "/")
	for _, from := range []struct {
		origin, url string
		client      *http.Client
		opens       bool
	}{
		{local, local + "/ws", s.client(false), true},
		{"https://" + publicName, "http://" + publicName + "/ws", s.visitors(), true},
		{"https://evil.example", local + "/ws", s.client(false), false},
		{"null", local + "/ws", s.client(false), false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		conn, _, err := websocket.Dial(ctx, from.url, &websocket.DialOptions{HTTPClient: from.client, HTTPHeader: http.Header{"Origin": {from.origin}}})
		if (err == nil) != from.opens {
			t.Errorf("%s from %s: %v", from.url, from.origin, err)
		}
		if err == nil {
			_ = conn.CloseNow()
		}
		cancel()
	}
}

// TestUpgradesThatNeverEnd: an app that upgrades to HTTPS in a world of plain HTTP
// is stopped at once, by a page that names the attribute.
func TestUpgradesThatNeverEnd(t *testing.T) {
	app := plainApp(t)
	file := func(setting string) string {
		return fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  %s\n}\n", app.URL, setting)
	}
	s := shareFile(t, file(`forwarded_proto = "http"`), nil)
	got := s.get(s.url("/upgrade?a=1"), "Accept", "text/html")
	if got.status != http.StatusLoopDetected || !strings.Contains(got.body, "forwarded_proto = &#34;http&#34;") || !strings.Contains(got.body, "Proxyfile:2") || got.header.Get("Location") != "" {
		t.Errorf("%d %v\n%s", got.status, got.header, got.body)
	}
	if record := <-s.records; record.Status != http.StatusLoopDetected || record.Error == "" {
		t.Errorf("recorded %+v", record)
	}
	got = s.visit("/upgrade?a=1", "Accept", "text/html")
	if found := s.tells(got.body + fmt.Sprint(got.header)); got.status != http.StatusBadGateway || len(found) > 0 || strings.Contains(got.body, "forwarded_proto") {
		t.Errorf("a visitor: %d, %q\n%s", got.status, found, got.body)
	}
	// Where the app is told https, the redirect may be meant once.
	s.apply(file(""))
	client := s.client(true)
	statuses := map[int]int{}
	for range 9 {
		got, err := get(t.Context(), client, s.url("/upgrade"))
		if err != nil {
			t.Fatal(err)
		}
		statuses[got.status]++
	}
	if statuses[http.StatusFound] != 7 || statuses[http.StatusLoopDetected] != 2 {
		t.Errorf("%v", statuses)
	}
}

// TestHintsAndKeptResponses: what comes before a response, and what a cache kept of
// one, lead to the same places as the response itself.
func TestHintsAndKeptResponses(t *testing.T) {
	app := plainApp(t)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  cache = true\n  forwarded_proto = \"http\"\n}\n", app.URL), nil)
	local := strings.TrimSuffix(s.url("/"), "/")
	for n, want := range []string{"devproxy; fwd=uri-miss", "devproxy; hit"} {
		got := s.get(s.url("/kept"))
		if status := got.header.Get("Cache-Status"); !strings.HasPrefix(status, want) {
			t.Errorf("request %d: %s", n, status)
		}
		for name, want := range outwardOf(local) {
			if is := got.header.Get(name); is != want {
				t.Errorf("request %d: %s is %q, want %q", n, name, is, want)
			}
		}
	}
	for range 2 {
		got := s.visit("/kept")
		for name, want := range outwardOf("https://" + publicName) {
			if is := got.header.Get(name); is != want {
				t.Errorf("a visitor: %s is %q, want %q", name, is, want)
			}
		}
	}
	hint := s.hint("/hints")
	if want := "<" + local + "/style.css>; rel=preload"; hint != want {
		t.Errorf("hinted %q, want %q", hint, want)
	}
}

// hint is the Link of the 103 that comes before the response.
func (s *site) hint(path string) (link string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
		link = header.Get("Link")
		return nil
	}})
	if _, err := get(ctx, s.client(false), s.url(path)); err != nil {
		s.t.Fatal(err)
	}
	return link
}

// TestCorsOfPlainApps: cors decides by the origin that the browser tells, whatever
// the upstream is told.
func TestCorsOfPlainApps(t *testing.T) {
	app := plainApp(t)
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  forwarded_proto = \"http\"\n  cors = [\"https://page.example\", \"http://shop.localhost:%d\"]\n}\n", app.URL, 80))
	for origin, want := range map[string]string{
		"https://page.example": "https://page.example", "http://shop.localhost": "http://shop.localhost", "https://evil.example": "", strings.TrimSuffix(s.url("/"), "/"): "",
	} {
		got := s.get(s.url("/form"), "Origin", origin)
		if is := got.header.Get("Access-Control-Allow-Origin"); is != want {
			t.Errorf("%s: %q, want %q", origin, is, want)
		}
	}
}

// TestAdviceOnRefusedForms: the terminal names the attribute, once for each service,
// when a framework refuses a form of its own page.
func TestAdviceOnRefusedForms(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		body := "Cross-site POST form submissions are forbidden"
		if r.URL.Path == "/mine" {
			body = "You are not allowed to do that."
		}
		var to io.Writer = w
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusForbidden)
			zipped := gzip.NewWriter(w)
			defer zipped.Close()
			to = zipped
		} else {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(to, body)
	}))
	t.Cleanup(app.Close)
	file := func(setting string) string {
		return fmt.Sprintf("host \"shop.localhost\" {\n  upstream = service.web\n  route \"/other\" { upstream = service.web }\n}\nservice \"web\" {\n  upstream = %q\n  %s\n}\n", app.URL, setting)
	}
	const said = `forwarded_proto = "http"`
	for _, shared := range []bool{false, true} {
		for _, encoding := range []string{"identity", "gzip"} {
			s := shareFile(t, file(""), nil)
			origin, base, client := strings.TrimSuffix(s.url("/"), "/"), strings.TrimSuffix(s.url("/"), "/"), s.client(true)
			if shared {
				origin, base, client = "https://"+publicName, "http://"+publicName, s.visitors()
			}
			for _, step := range []struct {
				path, origin string
				told         bool
			}{{"/mine", origin, false}, {"/form", "https://evil.example", false}, {"/form", origin, true}, {"/form", origin, false}, {"/other", origin, false}} {
				s.post(client, base+step.path, "Origin", step.origin, "Accept-Encoding", encoding)
				record := <-s.records
				if told := strings.Contains(strings.Join(record.Advice, "\n"), said); told != step.told {
					t.Errorf("shared %v, %s: %s from %s: %q", shared, encoding, step.path, step.origin, record.Advice)
				}
			}
		}
	}
	// Where it is written, the app has other reasons.
	s := serveFile(t, file(said))
	s.post(s.client(true), s.url("/form"), "Origin", strings.TrimSuffix(s.url("/"), "/"))
	if record := <-s.records; record.Status != http.StatusForbidden || len(record.Advice) > 0 {
		t.Errorf("told: %+v", record)
	}
}
