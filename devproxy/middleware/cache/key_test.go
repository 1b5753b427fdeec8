package cache

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestKey: hosts are the same in any case; schemes, ports and spellings of paths
// are not.
func TestKey(t *testing.T) {
	c := New(1 << 20)
	defer c.Close()
	answer := &up{header: []string{"Cache-Control", "max-age=60"}, body: "a"}
	asked := 0
	ask := func(host, target string, secure bool) {
		r := get(t.Context(), "/")
		r.Host, r.RequestURI = host, target
		if secure {
			r.TLS = &tls.ConnectionState{}
		}
		_ = c.ask(httptest.NewRecorder(), r, func(w http.ResponseWriter, r *http.Request) error { asked++; return answer.answer(w, r) })
	}
	ask("shop.localhost", "/a", true)
	ask("SHOP.localhost", "/a", true)
	if asked != 1 {
		t.Errorf("one host in two spellings: %d requests", asked)
	}
	for i, other := range []struct {
		host, target string
		secure       bool
	}{{"shop.localhost", "/a", false}, {"shop.localhost:8443", "/a", true}, {"shop.localhost", "/%61", true}, {"shop.localhost", "/a?", true}, {"shop.localhost", "/A", true}} {
		ask(other.host, other.target, other.secure)
		if asked != i+2 {
			t.Errorf("%+v is answered with another's", other)
		}
	}
}

// TestKeyIsNotAText: what a request says of its host is not taken for a part of
// its path, however it got in.
func TestKeyIsNotAText(t *testing.T) {
	of := func(host, target string, secure bool) key {
		r := get(t.Context(), "/")
		r.Host, r.RequestURI = host, target
		return keyOf(r, Client{Secure: secure})
	}
	want := of("shop.localhost:8443", "/app/evil.js", true)
	for _, other := range []key{
		of("shop.localhost:8443/app", "/evil.js", true),
		of("shop.localhost:8443/app/evil.js", "/", true),
		of("shop.localhost", ":8443/app/evil.js", true),
		of("shop.localhost:8443", "/app/evil.js", false),
		of("user@shop.localhost:8443", "/app/evil.js", true),
	} {
		if other == want {
			t.Errorf("%+v is the key of another request", other)
		}
	}
	if got := of("SHOP.localhost:8443", "/app/evil.js", true); got != want {
		t.Errorf("%+v, want %+v: hosts are the same in any case", got, want)
	}
}

func TestRefer(t *testing.T) {
	k := key{true, "shop.localhost:8443", "/a/b?c", "visitors"}
	for reference, want := range map[string]string{
		"/x?y": "/x?y", "x": "/a/x", "?z": "/a/b?z", "https://SHOP.localhost:8443/x": "/x", "//shop.localhost:8443/x": "/x",
		"": "", "http://shop.localhost:8443/x": "", "https://shop.localhost/x": "", "https://other/x": "", "//other/x": "", "%": "",
	} {
		got, ok := k.refer(reference)
		if ok != (want != "") || ok && got != (key{true, k.host, want, "visitors"}) {
			t.Errorf("%q: %+v, %t; want %q", reference, got, ok, want)
		}
	}
	plain := key{false, "shop.localhost", "/", ""}
	if got, ok := plain.refer("http://shop.localhost/x"); !ok || got != (key{false, "shop.localhost", "/x", ""}) {
		t.Errorf("of plain HTTP: %+v, %t", got, ok)
	}
	if _, ok := plain.refer("https://shop.localhost/x"); ok {
		t.Error("another scheme is another origin")
	}
}

// TestDelayCounts: what an answer took to come is part of its age (RFC 9111
// section 4.2.3).
func TestDelayCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		slow := func(w http.ResponseWriter, r *http.Request) error {
			time.Sleep(5 * time.Second)
			return (&up{header: []string{"Date", "now", "Age", "50", "Cache-Control", "max-age=60"}, body: "a"}).answer(w, r)
		}
		_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), slow)
		w := httptest.NewRecorder()
		_ = c.ask(w, get(t.Context(), "/"), slow)
		if got := w.Header().Get("Age"); got != "55" {
			t.Errorf("Age %s, want 55", got)
		}
	})
}
