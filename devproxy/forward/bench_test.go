package forward

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// BenchmarkForward compares a small GET over kept-alive connections with
// net/http/httputil in the same run: only the ratio carries to other machines.
func BenchmarkForward(b *testing.B) {
	body := strings.Repeat("x", 1024)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
	defer up.Close()
	spec := &plan.Upstream{Members: []plan.Member{{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{up.Listener.Addr().String()}, Text: ":up"}}}
	u := New(spec, Options{Instance: "bench"})
	defer u.Retire()
	route := &plan.Route{ID: "r", Path: "/", Hold: plan.DefaultHold}
	target, _ := url.Parse(up.URL)
	reverse := httputil.NewSingleHostReverseProxy(target)
	reverse.Transport = &http.Transport{MaxIdleConnsPerHost: maxIdle, DisableCompression: true}
	for name, handler := range map[string]http.Handler{
		"devproxy": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var report Report
			if err := u.Forward(w, r, Exchange{Match: plan.Match{Route: route}, Target: r.URL.Path, Scheme: "http", Report: &report}); err != nil {
				b.Error(err)
			}
		}),
		"httputil": reverse,
	} {
		b.Run(name+"/exchange", func(b *testing.B) { benchmarkGet(b, handler) })
		b.Run(name+"/handler", func(b *testing.B) { benchmarkHandler(b, handler) })
	}
}

// benchmarkGet has a server and a client around handler.
func benchmarkGet(b *testing.B, handler http.Handler) {
	srv := httptest.NewServer(handler)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxIdle}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Get(srv.URL + "/a")
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}

// benchmarkHandler has neither: what is left is forwarding and the upstream.
func benchmarkHandler(b *testing.B, handler http.Handler) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/a", nil)
		r.RemoteAddr = net.JoinHostPort("127.0.0.1", "5")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
}
