package devproxy

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/share"
)

// TestWhatIsServedIsListedToThisMachine alone: a page of another site that reads
// an answer, by a name that it has resolve to this machine, learns nothing.
func TestWhatIsServedIsListedToThisMachine(t *testing.T) {
	const document = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
	for _, listenBlock := range []string{"", "listen { redirect = false }\n"} {
		s := serveFile(t, listenBlock+fixedHosts)
		for _, test := range []struct {
			host, fields string
			want         bool
		}{
			{"shpo.localhost", "", true},
			{"SHPO.localhost.:8080", "", true},
			{"localhost", "", true},
			{"127.0.0.1", "", true},
			{"[::1]:80", "", true},
			{"shpo.localhost", "Sec-Fetch-Site: none\r\n" + document, true},
			{"shpo.localhost", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n", true},
			{"shpo.localhost", "Sec-Fetch-Site: cross-site\r\n" + document, true}, // a link
			{"shpo.localhost", "Origin: http://shpo.localhost\r\n", true},
			{"shpo.localhost", "Origin: http://evil.example\r\n", false},
			{"shpo.localhost", "Origin: null\r\n", false},
			{"shpo.localhost", "Origin: http://shop.localhost\r\n", false},
			{"shpo.localhost", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n", false},
			{"shpo.localhost", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: document\r\n", false},
			{"shpo.localhost", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n", false},
			{"shpo.localhost", "Sec-Fetch-Site: same-site\r\n", false},
			{"evil.example", "", false},
			{"evil.example", "Sec-Fetch-Site: none\r\n" + document, false},
			{"evil.example:8080", "Sec-Fetch-Site: same-origin\r\nOrigin: http://evil.example:8080\r\n", false},
			{"shop.localhost.evil.example", "", false},
			{"shop.localhostx", "", false},
			{"shop.localhos", "", false}, // near a served name
			{"127.0.0.1.nip.io", "", false},
			{"0.0.0.0", "", false},
			{"192.0.2.1", "", false},
		} {
			for _, accept := range []string{"*/*", "text/html"} {
				got := s.plain("GET / HTTP/1.1\r\nHost: " + test.host + "\r\nAccept: " + accept + "\r\n" + test.fields + "Connection: close\r\n\r\n")
				lists := strings.Contains(got.body, "//shop.localhost") && strings.Contains(got.body, "Proxyfile:")
				// Only the requested name.
				body := strings.ReplaceAll(got.body, strings.TrimSuffix(test.host, ":8080"), "")
				tells := strings.Contains(body, "shop.localhost") || strings.Contains(got.body, s.folder) || strings.Contains(got.body, "Proxyfile:")
				if got.status != 404 || lists != test.want || tells != test.want {
					t.Errorf("Host %s, %q: status %d, lists %v, tells %v, want %v\n%s", test.host, test.fields, got.status, lists, tells, test.want, got.body)
				}
			}
		}
	}
}

// TestTheStateIsForItsOwnPages: no one else can have devproxy dial.
func TestTheStateIsForItsOwnPages(t *testing.T) {
	s := shareFile(t, fmt.Sprintf("listen { redirect = false }\nhost \"shop.localhost\" { upstream = %d }\n", freePort(t)), nil)
	local := fmt.Sprintf("https://shop.localhost:%d", s.port())
	target := statePath + "?path=" + url.QueryEscape("/")
	for _, test := range []struct {
		fields []string
		want   int
	}{
		{nil, 200},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "none"}, 200},
		{[]string{"Origin", "SELF"}, 200},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "SELF"}, 200},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", ""}, 403},
		{[]string{"Origin", "SELF", "Origin", "https://evil.example"}, 403},
		{[]string{"Origin", "SELFx"}, 403},
	} {
		with := func(self string) []string {
			var fields []string
			for _, field := range test.fields {
				fields = append(fields, strings.Replace(field, "SELF", self, 1))
			}
			return fields
		}
		if got := s.get(s.url(target), with(local)...); got.status != test.want && (test.want != 403 || got.status != 400) {
			t.Errorf("%q: %d, want %d", test.fields, got.status, test.want)
		}
		if got := s.visit(target, with("https://"+publicName)...); got.status != test.want && (test.want != 403 || got.status != 400) {
			t.Errorf("a visitor, %q: %d, want %d", test.fields, got.status, test.want)
		}
	}
	select {
	case x := <-s.records:
		t.Errorf("recorded: %+v", x)
	default:
	}
	for host, want := range map[string]int{"shop.localhost": 200, "gone.localhost": 200, "evil.example": 404, "shop.localhost.evil.example": 404} {
		got := s.plain("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if got.status != want {
			t.Errorf("Host %s: %d %q, want %d", host, got.status, got.body, want)
		}
	}
}

func TestOpensDocument(t *testing.T) {
	for name, test := range map[string]struct {
		method, mode, dest string
		want               bool
	}{
		"a link": {"GET", "navigate", "document", true}, "a form": {"POST", "navigate", "document", false},
		"a fetch": {"GET", "cors", "document", false}, "a frame": {"GET", "navigate", "iframe", false}, "a program": {"GET", "", "", false},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		r.Header.Set("Sec-Fetch-Mode", test.mode)
		r.Header.Set("Sec-Fetch-Dest", test.dest)
		if got := opensDocument(r); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestASecretThatGetsInIsNotRecorded: the query of a form that was sent from the
// link itself.
func TestASecretThatGetsInIsNotRecorded(t *testing.T) {
	const secret = "0123456789abcdef"
	s := shareFile(t, "host \"shop.localhost\" { respond = 204 }\n", func(o *share.Options) {
		o.Named, o.Zone, o.Secret = true, publicName, []byte(secret)
	})
	s.visit("/a?b=1&%64evproxy="+secret, "Sec-Fetch-Mode", "cors", "Authorization", "Bearer "+secret)
	if record := <-s.records; record.Target != "/a?b=1" || strings.Contains(fmt.Sprintf("%+v", record), secret) {
		t.Errorf("recorded %+v", record)
	}
}

// TestState checks what a waiting page polls: it learns one word.
func TestState(t *testing.T) {
	a := newDevServer(t, "a")
	s := serveFile(t, fmt.Sprintf(`host "shop.localhost" {
  upstream = %d
  route "/api" { upstream = %d }
  route "/fixed" { respond = 204 }
}
`, a.port(), freePort(t)))
	for path, want := range map[string]string{"/": "up", "/api/x?y=z": "waiting", "/fixed": "up", "/../etc": "up", "": "up"} {
		got := s.get(s.url(statePath + "?path=" + url.QueryEscape(path)))
		if got.status != 200 || got.body != want+"\n" || got.header.Get("Cache-Control") != "no-store" ||
			got.header.Get("Content-Type") != "text/plain; charset=utf-8" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: status %d, %q, %v; want %q", path, got.status, got.body, got.header, want)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: other origins may read it", name)
			}
		}
	}
	if got := s.get(s.url(ownPaths + "else")); got.status != 404 {
		t.Errorf("a path of ours that is none: %d", got.status)
	}
	select {
	case x := <-s.records:
		t.Errorf("recorded: %+v", x)
	default:
	}
}
