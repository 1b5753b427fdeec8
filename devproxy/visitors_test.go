package devproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/share"
)

func TestAVisitorMeetsTheProject(t *testing.T) {
	seen := make(chan *http.Request, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("Location", "https://"+r.Host+"/next")
		w.WriteHeader(http.StatusFound)
	}))
	defer app.Close()
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(app.URL, "http://")), nil)
	got := s.visit("/a%2Fb?q=1", "X-Forwarded-For", "1.2.3.4", "Origin", "https://"+publicName)
	r := <-seen
	local := fmt.Sprintf("shop.localhost:%d", s.port())
	for name, have := range map[string][2]string{
		"Host":              {r.Host, local},
		"target":            {r.RequestURI, "/a%2Fb?q=1"},
		"Origin":            {r.Header.Get("Origin"), "https://" + local},
		"X-Forwarded-For":   {r.Header.Get("X-Forwarded-For"), "203.0.113.7"},
		"X-Forwarded-Proto": {r.Header.Get("X-Forwarded-Proto"), "https"},
		"X-Forwarded-Host":  {r.Header.Get("X-Forwarded-Host"), local},
		"Forwarded":         {r.Header.Get("Forwarded"), "for=203.0.113.7;host=\"" + local + "\";proto=https"},
		"our own field":     {r.Header.Get("Devproxy-Public-Host"), publicName},
		"Location":          {got.header.Get("Location"), "https://" + publicName + "/next"},
		"X-Robots-Tag":      {got.header.Get("X-Robots-Tag"), "noindex"},
	} {
		if have[0] != have[1] {
			t.Errorf("%s is %q, want %q", name, have[0], have[1])
		}
	}
	record := <-s.records
	if record.Share != "shop" || record.Visitor != "203.0.113.7" || record.Host != local || record.Target != "/a%2Fb?q=1" || record.Status != http.StatusFound {
		t.Errorf("recorded %+v", record)
	}
}

// TestTheAddressInAField has a provider tell the visitor's address in a field of
// the request. Anything but a single address counts as none.
func TestTheAddressInAField(t *testing.T) {
	told := make(chan string, 1)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("X-Forwarded-For") + r.Header.Get("Cf-Connecting-Ip")
	}))
	defer app.Close()
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(app.URL, "http://")), nil)
	s.visits(share.Visitor{AddrField: "CF-Connecting-IP", Scheme: "https", Host: publicName})
	const notTold = "192.0.2.1"
	for _, test := range []struct {
		fields []string
		want   string
	}{
		{[]string{"CF-Connecting-IP", "198.51.100.4"}, "198.51.100.4"},
		{[]string{"CF-Connecting-IP", "2001:db8::4"}, "2001:db8::4"},
		{[]string{"CF-Connecting-IP", "::ffff:198.51.100.4"}, "198.51.100.4"},
		{nil, notTold},
		{[]string{"X-Forwarded-For", "198.51.100.4"}, notTold},
		{[]string{"CF-Connecting-IP", "198.51.100.4, 198.51.100.5"}, notTold},
		{[]string{"CF-Connecting-IP", "198.51.100.4:80"}, notTold},
		{[]string{"CF-Connecting-IP", "127.0.0.1"}, notTold}, // a visitor is never local
		{[]string{"CF-Connecting-IP", "::1"}, notTold},
		{[]string{"CF-Connecting-IP", ""}, notTold},
	} {
		s.visit("/", test.fields...)
		if got := <-told; got != test.want {
			t.Errorf("%q: the app is told %q, not %q", test.fields, got, test.want)
		}
	}
	if got := toldAddr([]string{"198.51.100.4", "198.51.100.5"}); got.IsValid() {
		t.Errorf("two lines tell %s", got)
	}
}

// TestAConnectionCarriesOneExchange pipelines a second request behind the
// first: were it answered, two visitors could be behind one parser.
func TestAConnectionCarriesOneExchange(t *testing.T) {
	s := shareFile(t, "host \"shop.localhost\" { respond = { status = 200, body = \"hello\" } }\n", nil)
	conn := s.dialRelay()
	head := "GET / HTTP/1.1\r\nHost: " + publicName + "\r\n\r\n"
	if _, err := io.WriteString(conn, head+head); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(conn) // a reset is an end as well
	if n := strings.Count(string(text), "HTTP/1.1 "); n != 1 {
		t.Errorf("%d answers:\n%s", n, text)
	}
}

// TestVisitorsAreNotRedirectedToThisMachine has the relay take plain HTTP.
func TestVisitorsAreNotRedirectedToThisMachine(t *testing.T) {
	s := shareFile(t, "host \"shop.localhost\" { respond = { status = 200, body = \"hello\" } }\n", nil)
	s.visits(share.Visitor{Addr: visitorAddr(), Scheme: "http", Host: publicName})
	if got := s.visit("/a?b"); got.header.Get("Location") != "https://"+publicName+"/a?b" || got.status != http.StatusTemporaryRedirect {
		t.Errorf("got %+v", got)
	}
}

// TestPagesOfAShareTellNothing fails in every way there is, and reads what a
// visitor and what we are told.
func TestPagesOfAShareTellNothing(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer broken.Close()
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer stuck.Close()
	address := func(srv *httptest.Server) string { return strings.TrimPrefix(srv.URL, "http://") }
	s := shareFile(t, fmt.Sprintf(`host "shop.localhost" {
  route "/waiting" {
    upstream = %d
    hold     = "0s"
  }
  route "/broken" { upstream = %q }
  route "/stuck" {
    upstream = %q
    timeout  = "10ms"
  }
  route "/files" { files = "." }
  route "/missing" { files = "no-such-folder" }
  route "/moved" {
    upstream = %q
    rewrite  = "/.git{rest}"
  }
}
host "other.localhost" { respond = 204 }
`, freePort(t), address(broken), address(stuck), address(broken)), nil)
	for _, test := range []struct {
		path   string
		status int
		says   string
	}{
		{"/waiting", 503, "This site is restarting."},
		{"/broken", 502, "This site did not respond."},
		{"/stuck", 504, "This site took too long to respond."},
		{"/files/none.html", 404, "This page does not exist."},
		{"/missing/", 404, "This page does not exist."},
		{"/nowhere", 404, "This page does not exist."},
		{"/files/../b", 400, "This site did not accept the request."},
		{"/moved/config", 404, "This page does not exist."},
		{"/.git/config", 404, ""},
		{"/.well-known/devproxy/other", 404, ""},
	} {
		for _, accept := range []string{"*/*", "text/html"} {
			got := s.visit(test.path, "Accept", accept)
			if got.status != test.status || !strings.Contains(got.body, test.says) {
				t.Errorf("%s (%s): %d, want %d and %q:\n%s", test.path, accept, got.status, test.status, test.says, got.body)
			}
			if found := s.tells(got.body + fmt.Sprint(got.header)); len(found) > 0 {
				t.Errorf("%s (%s) tells %q:\n%v\n%s", test.path, accept, found, got.header, got.body)
			}
			if got.header.Get("X-Robots-Tag") != "noindex" {
				t.Errorf("%s (%s): %v", test.path, accept, got.header)
			}
		}
	}
	// For a moment a save and the share may differ.
	s.apply("host \"other.localhost\" { respond = 204 }\n")
	if got := s.visit("/"); got.status != 404 || len(s.tells(got.body)) > 0 {
		t.Errorf("a host that is gone: %d %q", got.status, got.body)
	}
	if local := s.get(s.url("/nowhere")); !strings.Contains(local.body, "is not in any Proxyfile") {
		t.Errorf("the local page lost its place:\n%s", local.body)
	}
}

// TestAnotherHostIsUnknownToVisitors asks for what is served here and not
// shared, in every place where a host can stand.
func TestAnotherHostIsUnknownToVisitors(t *testing.T) {
	s := shareFile(t, "host \"shop.localhost\" { respond = 204 }\nhost \"other.localhost\" { respond = { status = 200, body = \"other\" } }\n", nil)
	for _, host := range []string{"other.localhost", fmt.Sprintf("other.localhost:%d", s.port()), "other.t.example.com"} {
		s.visits(share.Visitor{Addr: visitorAddr(), Scheme: "https", Host: host})
		got := s.visit("/")
		if got.status < 400 || strings.Contains(got.body, "other") || len(s.tells(got.body)) > 0 {
			t.Errorf("%s: %d %q", host, got.status, got.body)
		}
	}
}

// TestTheStateOfAShare is what the waiting page polls: the one page of ours.
func TestTheStateOfAShare(t *testing.T) {
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %d\n  route \"/up\" { respond = 204 }\n}\n", freePort(t)), nil)
	for path, want := range map[string]string{"/": "waiting\n", "/up": "up\n"} {
		if got := s.visit(statePath + "?path=" + url.QueryEscape(path)); got.status != 200 || got.body != want {
			t.Errorf("%s: %d %q, want %q", path, got.status, got.body, want)
		}
	}
}

// TestTheSecretIsNotRecorded opens the link of a named share.
func TestTheSecretIsNotRecorded(t *testing.T) {
	const secret = "0123456789abcdef"
	s := shareFile(t, "host \"shop.localhost\" { respond = 204 }\n", func(o *share.Options) {
		o.Named, o.Zone, o.Secret = true, publicName, []byte(secret)
	})
	for _, target := range []string{"/?devproxy=" + secret, "/"} {
		s.visit(target, "Accept", "text/html", "Sec-Fetch-Mode", "navigate")
		if record := <-s.records; strings.Contains(fmt.Sprintf("%+v", record), secret) {
			t.Errorf("recorded %+v", record)
		}
	}
}

// TestAdviceOfAShare: the terminal says once what becomes of a cookie that the project
// sets for several hosts, and not of what a request on this machine gets.
func TestAdviceOfAShare(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "sid=1; Domain=.shop.localhost")
	}))
	defer app.Close()
	upstream := strings.TrimPrefix(app.URL, "http://")
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nhost \"admin.shop.localhost\" { upstream = %[1]q }\n", upstream), func(o *share.Options) {
		o.Together = true
		o.Hosts = append(o.Hosts, share.Host{Local: strings.Replace(o.Hosts[0].Local, "shop.", "admin.shop.", 1), Public: strings.Replace(publicName, ".", "--admin.", 1)})
	})
	for i, want := range []string{`visitors get the cookie "sid" for shop.localhost alone`, ""} {
		if got := s.visit("/").header.Get("Set-Cookie"); got != "sid=1" {
			t.Errorf("a visitor gets %q", got)
		}
		if told := strings.Join((<-s.records).Advice, "\n"); !strings.HasPrefix(told, want) || (told == "") != (want == "") {
			t.Errorf("request %d: the terminal says %q, want %q", i+1, told, want)
		}
	}
}

// TestTheEndOfAShare ends it as sleep and expiry do, with a request in flight
// and a WebSocket, while the rest continues.
func TestTheEndOfAShare(t *testing.T) {
	a := newDevServer(t, "a")
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()), nil)
	local := s.open("/ws")
	socket, _ := s.openShared("/ws")
	answered := make(chan error, 1)
	go func() {
		got, err := get(context.Background(), s.visitors(), "http://"+publicName+"/slow")
		if err == nil && got.body != "a finished" {
			err = fmt.Errorf("status %d, body %q", got.status, got.body)
		}
		answered <- err
	}()
	a.await(t, "/slow")
	s.end()
	if code := closeCode(t, socket); code != websocket.StatusServiceRestart {
		t.Errorf("the visitor's WebSocket ended with %d, want 1012", code)
	}
	if got := s.visit("/"); got.status != 503 || got.body != "This site is restarting.\n" {
		t.Errorf("a request after the end: %d %q", got.status, got.body)
	}
	select {
	case <-s.served:
		t.Fatal("ServeShare returned with a request in flight")
	default:
	}
	close(a.finish)
	if err := <-answered; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	s.await()
	if err := echo(t.Context(), local, "still here"); err != nil {
		t.Errorf("the local WebSocket: %v", err)
	}
}

// TestAStricterShareEndsItsStreams replaces what is shared, as a save does that
// asks for a password: what was opened before may not go on.
func TestAStricterShareEndsItsStreams(t *testing.T) {
	a := newDevServer(t, "a")
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()), nil)
	before := *s.table.Load()
	var stricter context.CancelFunc
	before.Streams, stricter = context.WithCancel(t.Context())
	defer stricter()
	s.table.Store(&before)
	socket, _ := s.openShared("/ws")
	s.table.Store(&Shared{Share: before.Share})
	later, _ := s.openShared("/ws")
	stricter()
	if code := closeCode(t, socket); code != websocket.StatusServiceRestart {
		t.Errorf("the WebSocket from before ended with %d, want 1012", code)
	}
	if err := echo(t.Context(), later, "still here"); err != nil {
		t.Errorf("the WebSocket from after: %v", err)
	}
	_ = later.CloseNow()
}

// TestTheEndOfAShareWaitsForItsVisitors has an answer be written, and its
// visitor take the time to read it.
func TestTheEndOfAShareWaitsForItsVisitors(t *testing.T) {
	body := strings.Repeat("x", 64<<10)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { respond = { status = 200, body = %q } }\n", body), nil)
	conn := s.dialRelay()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+publicName+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-s.records // it is answered
	s.end()
	got := s.visit("/")
	select {
	case <-s.served:
		t.Error("ServeShare returned before the answer was read")
	default:
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(text), body) || got.status != http.StatusServiceUnavailable {
		t.Errorf("read %d bytes, %v; a request after the end: %d", len(text), err, got.status)
	}
	conn.Close()
	s.await()
}

// TestTheEndOfAShareCutsSocketsThatDoNotReply has a WebSocket leave its close
// frame without an answer.
func TestTheEndOfAShareCutsSocketsThatDoNotReply(t *testing.T) {
	a := newDevServer(t, "a")
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()), nil)
	conn := s.dialRelay()
	const upgrade = "GET /ws HTTP/1.1\r\nHost: " + publicName + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	if _, err := io.WriteString(conn, upgrade); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("%q, %v", line, err)
	}
	s.end()
	s.await()
}

// TestTheHeadOfASwitchIsMadePublic has a cookie come with a 101.
func TestTheHeadOfASwitchIsMadePublic(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "id=1; Domain=shop.localhost; Secure")
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_ = conn.CloseNow()
		}
	}))
	defer app.Close()
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(app.URL, "http://")), nil)
	_, header := s.openShared("/")
	if cookie := header.Get("Set-Cookie"); !strings.HasPrefix(cookie, "id=1") || strings.Contains(cookie, "localhost") {
		t.Errorf("the cookie is %q", cookie)
	}
}

// TestCloseCutsAShareShort is the second Ctrl-C.
func TestCloseCutsAShareShort(t *testing.T) {
	a := newDevServer(t, "a")
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", a.port()), nil)
	answered := make(chan error, 1)
	go func() {
		_, err := get(context.Background(), s.visitors(), "http://"+publicName+"/slow")
		answered <- err
	}()
	a.await(t, "/slow")
	s.end()
	s.Close()
	s.await()
	if err := <-answered; err == nil {
		t.Error("the request that was cut off looks whole")
	}
}

// TestARelayThatFails ends the share and nothing else.
func TestARelayThatFails(t *testing.T) {
	s := shareFile(t, "host \"shop.localhost\" { respond = 204 }\n", nil)
	s.relay.Close()
	select {
	case err := <-s.served:
		if err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		s.served <- nil
	case <-time.After(patience):
		t.Fatal("ServeShare does not return")
	}
	if got := s.get(s.url("/")); got.status != http.StatusNoContent {
		t.Errorf("locally: %d", got.status)
	}
}
