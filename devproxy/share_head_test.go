package devproxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

// TestNoCookieInOtherHeaders: a cookie for more than the share comes neither in an
// informational response nor in a trailer, announced or not. Locally the first
// passes.
func TestNoCookieInOtherHeaders(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Link"] = []string{"</a.css>; rel=preload"}
		w.Header()["Set-Cookie"] = []string{"wide=1; Domain=t.example.com"}
		w.Header()["X-Own"] = []string{"1"}
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		w.Header()["Set-Cookie"] = []string{"own=1"}
		w.Header()["Trailer"] = []string{"Set-Cookie, X-Sum"}
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "body")
		w.Header()["Set-Cookie"] = []string{"wide=2; Domain=t.example.com"}
		w.Header()["X-Sum"] = []string{"1"}
		w.Header()[http.TrailerPrefix+"Set-Cookie2"] = []string{"wide=3"}
		w.Header()[http.TrailerPrefix+"Grpc-Status"] = []string{"0"}
	}))
	defer app.Close()
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(app.URL, "http://")), nil)
	ask := func(client *http.Client, url string) (hints []textproto.MIMEHeader, res *http.Response) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			hints = append(hints, header)
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err = client.Do(r); err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "body" {
			t.Fatalf("%q, %v", body, err)
		}
		return hints, res
	}
	hints, res := ask(s.visitors(), "http://"+publicName+"/")
	if len(hints) != 1 || hints[0].Get("Link") != "</a.css>; rel=preload" || hints[0].Get("Referrer-Policy") != "same-origin" || len(hints[0]) != 2 {
		t.Errorf("hints: %v", hints)
	}
	if got := res.Header["Set-Cookie"]; len(got) != 1 || got[0] != "own=1" {
		t.Errorf("the head: %v", res.Header)
	}
	if res.Trailer.Get("X-Sum") != "1" || res.Trailer.Get("Grpc-Status") != "0" || len(res.Trailer) != 2 {
		t.Errorf("trailers: %v", res.Trailer)
	}
	hints, res = ask(s.client(false), s.url("/"))
	if len(hints) != 1 || hints[0].Get("Set-Cookie") == "" || hints[0].Get("X-Own") != "1" || res.Trailer.Get("X-Sum") != "1" {
		t.Errorf("locally: %v, trailers %v", hints, res.Trailer)
	}
}

// TestAnInformationalHeadIsPutBack: what is taken out of it belongs to the final
// one.
func TestAnInformationalHeadIsPutBack(t *testing.T) {
	recorder := httptest.NewRecorder()
	w := &responseWriter{ResponseWriter: recorder, outward: func(h http.Header, status int) {
		if status < 200 && status != http.StatusSwitchingProtocols {
			clear(h)
		}
	}}
	w.Header().Set("Vary", "Origin")
	w.WriteHeader(http.StatusEarlyHints)
	if got := w.Header().Get("Vary"); got != "Origin" {
		t.Errorf("after an informational head Vary is %q", got)
	}
	w.outward = func(h http.Header, _ int) { h.Set("Vary", "changed") }
	w.WriteHeader(http.StatusOK)
	if got := w.Header().Get("Vary"); got != "changed" {
		t.Errorf("after the final head Vary is %q", got)
	}
}
