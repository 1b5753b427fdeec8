package devproxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/share"
)

// hiddenSite is a share of an app that answers everything with its target.
func hiddenSite(t *testing.T, show ...string) *shareSite {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) }))
	t.Cleanup(app.Close)
	return shareFile(t, strings.ReplaceAll(`host "shop.localhost" {
  upstream = "APP"
  route "/blog" {
    upstream     = "APP"
    strip_prefix = true
  }
  route "/app" { upstream = "APP" }
  route "/pictures" {
    upstream = "APP"
    rewrite  = "/_next/image"
  }
  route "/history" {
    upstream = "APP"
    rewrite  = "/.git{rest}"
  }
  route "/download" {
    files = "server.pem"
    exact = true
  }
}
`, "APP", strings.TrimPrefix(app.URL, "http://")), func(o *share.Options) { o.Show = show })
}

// TestWhatIsHiddenIsRecorded has the record of a hidden request name the rule
// and what opens it, by the visitor's path and by the path that is sent.
func TestWhatIsHiddenIsRecorded(t *testing.T) {
	s := hiddenSite(t)
	for _, test := range []struct {
		path, hidden, show string
	}{
		{"/", "", ""},
		{"/nothing.html", "", ""},
		{"/rails/mailers", "Rails mail previews", "/rails/mailers"},
		{"/blog/sidekiq", "job dashboards", "/sidekiq"},
		{"/app/sidekiq", "job dashboards", "/sidekiq"},
		{"/other/sidekiq", "", ""},
		{"/history/config", "names that begin with a dot", ".git"},
		{"/download", "private keys", "*.pem"},
		{"/pictures?url=%2Fa.png", "", ""},
		{"/pictures?url=%2F.env", "names that begin with a dot", ".env"},
		{"/?__debugger__=yes", "the Werkzeug debugger", "?__debugger__"},
		{"/@fs/etc/passwd", "files outside the project", ""},
	} {
		got := s.visit(test.path)
		record := <-s.records
		if record.Hidden != test.hidden || record.Show != test.show {
			t.Errorf("%s: recorded %q, %q; want %q, %q", test.path, record.Hidden, record.Show, test.hidden, test.show)
		}
		if want := map[bool]int{true: 200, false: 404}[test.hidden == ""]; got.status != want {
			t.Errorf("%s: %d, want %d: %s", test.path, got.status, want, got.body)
		}
	}
	// Locally nothing is hidden.
	if got := s.get(s.url("/rails/mailers")); got.status != 200 {
		t.Errorf("a local request: %d", got.status)
	}
	if record := <-s.records; record.Hidden != "" {
		t.Errorf("recorded %+v", record)
	}
}

// TestRefusedOtherwiseIsNotHidden: what another rule refuses is not told as
// hidden.
func TestRefusedOtherwiseIsNotHidden(t *testing.T) {
	s := hiddenSite(t)
	s.visits(share.Visitor{Addr: visitorAddr(), Scheme: "https", Host: "other.t.example.com"})
	if got := s.visit("/.env"); got.status != http.StatusMisdirectedRequest {
		t.Errorf("another host: %d", got.status)
	}
	if record := <-s.records; record.Hidden != "" {
		t.Errorf("recorded %+v", record)
	}
}

// TestShowOpensOneEntry has an opened entry answer, and everything else stay
// hidden.
func TestShowOpensOneEntry(t *testing.T) {
	s := hiddenSite(t, "/rails/mailers", "/blog/.netlify", ".git")
	for path, want := range map[string]int{
		"/rails/mailers": 200, "/rails/mailers/a.b": 200, "/app/rails/mailers": 200, "/rails/info/routes": 404, "/rails/mailers/.env": 404,
		"/blog/.netlify/x": 200, "/.netlify/x": 404, "/app/.netlify/x": 404, "/blog/.netlify/.env": 404,
		"/history/config": 200, "/history/.env": 404, "/.git/config": 200, "/.github": 404,
	} {
		if got := s.visit(path); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
}

// TestRecordsOfVisitorsAreBounded: a visitor chooses the name that is recorded.
func TestRecordsOfVisitorsAreBounded(t *testing.T) {
	recorder := make(inspect.Recorder, 1)
	recorder.Record(inspect.Exchange{Hidden: "x", Show: "." + strings.Repeat("a", 5000)})
	if got := (<-recorder).Show; len(got) > 600 {
		t.Errorf("%d bytes are kept: %s", len(got), fmt.Sprint(got[:20]))
	}
}

// TestCachedIsHidden: a response that a local request has put into a route's
// cache stays hidden from visitors.
func TestCachedIsHidden(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		_, _ = io.WriteString(w, r.RequestURI)
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, strings.ReplaceAll(`host "shop.localhost" {
  route "/blog" {
    upstream     = "APP"
    strip_prefix = true
    cache        = true
  }
}
`, "APP", strings.TrimPrefix(app.URL, "http://")), nil)
	for path, want := range map[string]int{"/blog/sidekiq": 404, "/blog/post": 200} {
		if got := s.get(s.url(path)); got.status != 200 {
			t.Fatalf("%s, locally: %d", path, got.status)
		}
		if got := s.visit(path); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
		if got := s.get(s.url(path)); got.status != 200 {
			t.Errorf("%s, locally again: %d", path, got.status)
		}
	}
}
