package devproxy

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/share"
)

const checkedFile = `host "shop.localhost" { respond = { status = 200, body = "app" } }`

// TestProbesAreHiddenWithoutTheToken of the check that is running: the answer is that to
// any path of devproxy that does not exist, and no probe does anything.
func TestProbesAreHiddenWithoutTheToken(t *testing.T) {
	s := shareFile(t, checkedFile, nil)
	none := s.visit(checkPaths + "nothing")
	refused := func(why, path string, fields ...string) {
		t.Helper()
		got := s.visit(path, fields...)
		if got.status != http.StatusNotFound || got.status != none.status || got.body != none.body {
			t.Errorf("%s: %s answers %d %q, a page that does not exist %d", why, path, got.status, got.body, none.status)
		}
	}
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	refused("no check", checkPaths+"request", bearer("")...)
	token, err := s.check.begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.check.begin(); err == nil || !strings.Contains(err.Error(), "another check") {
		t.Errorf("a second check at once: %v", err)
	}
	s.check.end("another")
	for name := range probes {
		_, name, _ = strings.Cut(name, " ")
		refused("no token", checkPaths+name)
		refused("another token", checkPaths+name, bearer("x"+token)...)
		refused("an empty token", checkPaths+name, bearer("")...)
	}
	refused("an unknown probe", checkPaths+"else", bearer(token)...)
	if got := s.visit(checkPaths+"request", bearer(token)...); got.status != http.StatusOK {
		t.Errorf("with the token: %d", got.status)
	}
	for range maxProbes {
		_, _ = s.check.admit(&http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}})
	}
	refused("too many probes", checkPaths+"request", bearer(token)...)
	s.check.end(token)
	if token, err = s.check.begin(); err != nil {
		t.Fatalf("a check after the first: %v", err)
	}
	if got := s.visit(checkPaths+"request", bearer(token)...); got.status != http.StatusOK {
		t.Errorf("the second check: %d", got.status)
	}
	s.check.mu.Lock()
	s.check.until = time.Now()
	s.check.mu.Unlock()
	refused("after the check's time", checkPaths+"request", bearer(token)...)
}

// TestProbesAreNotServedLocally: pages of this machine reach no probe, with any token.
func TestProbesAreNotServedLocally(t *testing.T) {
	s := shareFile(t, checkedFile, nil)
	token, err := s.check.begin()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(s.url(checkPaths+"request"), "Authorization", "Bearer "+token); got.status != http.StatusNotFound {
		t.Errorf("locally: %d", got.status)
	}
}

// TestProbesPassTheGate of every kind, and the token opens nothing else.
func TestProbesPassTheGate(t *testing.T) {
	for name, change := range map[string]func(*share.Options){
		"a password": func(o *share.Options) { o.Password = "pass" },
		"a name":     func(o *share.Options) { o.Named, o.Secret = true, []byte("0123456789abcdef") },
		"nobody":     func(o *share.Options) { o.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} },
		"paths":      func(o *share.Options) { o.Paths = []string{"/hooks"} },
	} {
		s := shareFile(t, checkedFile, change)
		token, err := s.check.begin()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.visit(checkPaths+"request", "Authorization", "Bearer "+token); got.status != http.StatusOK {
			t.Errorf("%s: the probe gets %d", name, got.status)
		}
		if got := s.visit("/", "Authorization", "Bearer "+token); got.status == http.StatusOK {
			t.Errorf("%s: the token of the check opens the project", name)
		}
	}
}

// TestProbesAnswer what passed through the share, with public names outside.
func TestProbesAnswer(t *testing.T) {
	s := shareFile(t, checkedFile, nil)
	token, err := s.check.begin()
	if err != nil {
		t.Fatal(err)
	}
	bearer := []string{"Authorization", "Bearer " + token}
	if got := s.visit(checkPaths+"redirect", bearer...); got.status != http.StatusFound || got.header.Get("Location") != "https://"+publicName+checkPaths+"request" {
		t.Errorf("redirect: %d to %s", got.status, got.header.Get("Location"))
	}
	if got := s.visit(checkPaths+"cookie", append(bearer, "Cookie", probeCookie+"=came")...); !strings.Contains(got.body, `"cookie":"came"`) || !strings.Contains(got.header.Get("Set-Cookie"), probeCookie+"=") {
		t.Errorf("cookie: %q, %q", got.body, got.header.Get("Set-Cookie"))
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	send := func(method, path, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, "http://"+publicName+checkPaths+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := s.visitors().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	if res := send(http.MethodOptions, "request", ""); res.Header.Get("Access-Control-Allow-Origin") != "https://"+publicName {
		t.Errorf("preflight: %v", res.Header)
	}
	var probe control.Probe
	if err := json.NewDecoder(send(http.MethodPost, "upload", "hello").Body).Decode(&probe); err != nil || probe.Bytes != 5 {
		t.Errorf("upload: %+v, %v", probe, err)
	}

	stream := bufio.NewScanner(send(http.MethodGet, "stream", "").Body)
	event := func() string {
		for stream.Scan() {
			if data, ok := strings.CutPrefix(stream.Text(), "data: "); ok {
				return data
			}
		}
		return ""
	}
	if got := event(); got != "first" {
		t.Fatalf("the stream begins with %q", got)
	}
	send(http.MethodPost, "next", "")
	send(http.MethodPost, "next", "") // no harm
	if got := event(); got != "next" {
		t.Errorf("after the release: %q", got)
	}

	conn, _, err := websocket.Dial(ctx, "http://"+publicName+checkPaths+"socket", &websocket.DialOptions{
		HTTPClient: s.visitors(), HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(ctx, websocket.MessageText, []byte("there")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(ctx); err != nil || string(text) != "there" {
		t.Errorf("the socket returns %q, %v", text, err)
	}
}

// TestAnUploadIsBounded: a probe takes no more than the check sends.
func TestAnUploadIsBounded(t *testing.T) {
	s := shareFile(t, checkedFile, nil)
	token, err := s.check.begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+publicName+checkPaths+"upload", zeros{})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := s.visitors().Do(req)
	if ctx.Err() != nil {
		t.Error("an endless upload goes on")
	}
	if err != nil {
		return // the connection was closed before all was sent
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an endless upload: %d", res.StatusCode)
	}
}

// TestASocketOfACheckEndsWithTheShare: stopping must not wait for its time.
func TestASocketOfACheckEndsWithTheShare(t *testing.T) {
	s := shareFile(t, checkedFile, nil)
	token, err := s.check.begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "http://"+publicName+checkPaths+"socket", &websocket.DialOptions{
		HTTPClient: s.visitors(), HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	s.end()
	if _, _, err := conn.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the socket after the end: %v", err)
	}
	s.await()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
