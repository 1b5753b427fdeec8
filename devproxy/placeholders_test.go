package devproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// placeholderFile has placeholders in all places that take them, in front of an app
// that answers with the fields that it got.
func placeholderFile(t *testing.T) string {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/kept") {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"host": r.Host, "client": r.Header.Get("X-Real-Ip"), "url": r.Header.Get("X-Url"), "rest": r.Header.Get("X-Rest"), "id": r.Header.Get("X-Request-Id")})
	}))
	t.Cleanup(app.Close)
	return fmt.Sprintf(`
host "shop.localhost" {
  upstream = %[1]q
  request_headers = {
    X-Real-IP    = "{client}"
    X-Url        = "https://{host}{uri}"
    X-Rest       = "{rest}"
    X-Request-Id = "{id}"
  }
  response_headers = {
    X-Request-Id = "{id}"
    X-Seen-Path  = "{path}"
  }

  route "/api" { request_headers = { X-Real-IP = null } }
  route "/kept" { cache = true }
  route "/fixed" { respond = 204 }
  route "/www" { redirect = "https://{host}/new{uri}" }
  route "/wiki" {
    exact    = true
    redirect = "{path}/"
  }
}
`, app.URL)
}

var requestIDs = regexp.MustCompile(`^[0-9a-f]{32}$`)

// TestPlaceholders has what an app and a client see of a request, and of two requests
// whose answer is the same one of a cache.
func TestPlaceholders(t *testing.T) {
	s := serveFile(t, placeholderFile(t))
	authority := strings.TrimPrefix(strings.TrimSuffix(s.url("/"), "/"), "https://")
	saw := func(r reply) (fields map[string]string) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.body), &fields); err != nil {
			t.Fatal(err, r)
		}
		return fields
	}
	got := s.get(s.url("/api/a%20b?x=1&y=2"))
	fields := saw(got)
	if fields["host"] != authority || fields["url"] != "https://"+authority+"/api/a%20b?x=1&y=2" || fields["rest"] != "/a%20b" || fields["client"] != "" {
		t.Errorf("%v", fields)
	}
	if id := got.header.Get("X-Request-Id"); !requestIDs.MatchString(id) || id != fields["id"] || got.header.Get("X-Seen-Path") != "/api/a%20b" {
		t.Errorf("%v, and the app has %v", got.header, fields)
	}
	if fields := saw(s.get(s.url("/"))); fields["client"] != "127.0.0.1" && fields["client"] != "::1" || fields["rest"] != "/" {
		t.Errorf("%v", fields)
	}

	first, second := s.get(s.url("/kept/a")), s.get(s.url("/kept/a"))
	if !strings.Contains(second.header.Get("Cache-Status"), "hit") {
		t.Fatalf("not of the cache: %v", second.header)
	}
	if a, b := first.header.Get("X-Request-Id"), second.header.Get("X-Request-Id"); a == b || !requestIDs.MatchString(b) {
		t.Errorf("two requests of a cache have the ids %q and %q", a, b)
	}
	if fixed := s.get(s.url("/fixed/x")); fixed.status != 204 || fixed.header.Get("X-Seen-Path") != "/fixed/x" {
		t.Errorf("%d %v", fixed.status, fixed.header)
	}
	for path, want := range map[string]string{
		"/www/a?b=c":               "https://" + authority + "/new/www/a?b=c",
		"/wiki":                    "/wiki/",
		"//wiki":                   "/wiki/",
		"/www//evil.example?q=%25": "https://" + authority + "/new/www//evil.example?q=%25",
	} {
		if got := s.get("https://" + authority + path).header.Get("Location"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestPlaceholdersOfVisitors: an app sees the address that the relay tells, and local
// names; the visitor is sent to public ones.
func TestPlaceholdersOfVisitors(t *testing.T) {
	s := shareFile(t, placeholderFile(t), nil)
	got := s.visit("/api/a?b=c", "X-Real-IP", "127.0.0.1")
	var fields map[string]string
	if err := json.Unmarshal([]byte(got.body), &fields); err != nil {
		t.Fatal(err, got)
	}
	if fields["client"] == "127.0.0.1" || !strings.HasPrefix(fields["url"], "https://"+localName) || !strings.HasSuffix(fields["url"], "/api/a?b=c") {
		t.Errorf("%v", fields)
	}
	if err := json.Unmarshal([]byte(s.visit("/").body), &fields); err != nil || fields["client"] != visitorAddr().Addr().String() {
		t.Errorf("%v, %v", err, fields)
	}
	if to := s.visit("/www/a?b=c").header.Get("Location"); to != "https://"+publicName+"/new/www/a?b=c" {
		t.Errorf("a visitor is sent to %q", to)
	}
}
