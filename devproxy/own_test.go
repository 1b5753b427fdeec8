package devproxy

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/share"
)

// TestAnUnknownHostTellsNothing about what is served: any user of the machine may ask,
// and so may a page of another site, by a name that it has resolve to this machine.
func TestAnUnknownHostTellsNothing(t *testing.T) {
	for _, listenBlock := range []string{"", "listen { redirect = false }\n"} {
		s := serveFile(t, listenBlock+fixedHosts)
		for _, test := range []struct{ host, fields string }{
			{"shpo.localhost", ""},
			{"SHPO.localhost.:8080", ""},
			{"localhost", ""},
			{"127.0.0.1", ""},
			{"[::1]:80", ""},
			{"shpo.localhost", "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"},
			{"shpo.localhost", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"},
			{"shpo.localhost", "Origin: http://evil.example\r\n"},
			{"evil.example", ""},
			{"shop.localhost.evil.example", ""},
			{"shop.localhostx", ""},
			{"127.0.0.1.nip.io", ""},
		} {
			for _, accept := range []string{"*/*", "text/html"} {
				got := s.plain("GET / HTTP/1.1\r\nHost: " + test.host + "\r\nAccept: " + accept + "\r\n" + test.fields + "Connection: close\r\n\r\n")
				// Only the requested name.
				body := strings.ReplaceAll(got.body, strings.TrimSuffix(test.host, ":8080"), "")
				if got.status != 404 || !strings.Contains(body, "devproxy v1.2.3") {
					t.Errorf("Host %s, %q: status %d\n%s", test.host, test.fields, got.status, got.body)
				}
				for _, secret := range []string{"shop.localhost", "tenant", s.folder, "Proxyfile:"} {
					if strings.Contains(body, secret) {
						t.Errorf("Host %s, %q: it tells %q\n%s", test.host, test.fields, secret, got.body)
					}
				}
			}
		}
	}
}

// TestMachinePage is served before any route, to this machine alone, over TLS alone, and
// not to pages of other origins.
func TestMachinePage(t *testing.T) {
	const text = "the machine's page"
	s := shareFile(t, "listen { redirect = false }\nhost \"shop.localhost\" { respond = 204 }\nhost \"*.localhost\" { respond = 205 }\n", nil)
	at := func(host string) string { return fmt.Sprintf("https://%s:%d/", host, s.port()) }
	self := strings.TrimSuffix(at("devproxy.localhost"), "/")
	for _, test := range []struct {
		host   string
		fields []string
		status int
		shown  bool
	}{
		{"devproxy.localhost", nil, 200, true},
		{"DevProxy.localhost", nil, 200, true},
		{"devproxy.localhost.", nil, 200, true},
		{"xdevproxy.localhost", nil, 205, false},
		{"a.devproxy.localhost", nil, 404, false},
		{"devproxy.localhost", []string{"Origin", self}, 200, true},
		{"devproxy.localhost", []string{"Sec-Fetch-Site", "same-origin"}, 200, true},
		{"devproxy.localhost", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200, true},
		{"devproxy.localhost", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403, false},
		{"devproxy.localhost", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, 403, false},
		{"devproxy.localhost", []string{"Origin", "https://shop.localhost"}, 403, false},
		{"devproxy.localhost", []string{"Origin", "https://devproxy.localhost:1"}, 403, false},
		{"devproxy.localhost", []string{"Origin", "null"}, 403, false},
	} {
		got := s.get(at(test.host), test.fields...)
		if got.status != test.status || (got.body == text) != test.shown {
			t.Errorf("%s %q: %d %q", test.host, test.fields, got.status, got.body)
		}
	}
	// Over plain HTTP there is only the way to TLS, even where plans are served.
	got := s.plain("GET /x?y HTTP/1.1\r\nHost: devproxy.localhost\r\nConnection: close\r\n\r\n")
	if got.status != 307 || got.header.Get("Location") != self+"/" || got.body != "" {
		t.Errorf("plain HTTP: %d %v %q", got.status, got.header, got.body)
	}
	// A visitor cannot name it, neither by the public host nor by a field.
	for _, host := range []string{"devproxy.localhost", fmt.Sprintf("devproxy.localhost:%d", s.port()), "devproxy.t.example.com", publicName} {
		s.visits(share.Visitor{Addr: visitorAddr(), Scheme: "https", Host: host})
		conn, err := net.Dial("tcp", s.relay.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: devproxy.localhost\r\nX-Forwarded-Host: devproxy.localhost\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") || strings.Contains(string(answer), text) || strings.Contains(string(answer), "devproxy.localhost") {
			t.Errorf("a visitor of %s: %v\n%s", host, err, answer)
		}
	}
	for len(s.records) > 0 {
		if record := <-s.records; strings.HasPrefix(strings.ToLower(record.Host), "devproxy.localhost") && record.Share == "" {
			t.Errorf("recorded %+v", record)
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
