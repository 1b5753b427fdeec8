package check

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/devproxy/doctor"
)

// TestTheProxyOfThisMachine carries everything, and resolves the name: this machine may
// have no resolver that knows it. Its credentials are in no text.
func TestTheProxyOfThisMachine(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	var tunnels atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		tunnels.Add(1)
		tunnel(w, e.Listener.Addr().String())
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("ann", "hunter2")
	var found []doctor.Finding
	r := &run{
		Subject: s, report: func(f doctor.Finding) { found = append(found, f) },
		visitor: newVisitor(s.Roots, token, func(*http.Request) (*url.URL, error) { return at, nil }),
	}
	defer r.visitor.close()
	hosts := r.hosts(t.Context())
	if len(hosts) != 1 || len(r.reached(t.Context(), hosts)) != 1 {
		t.Fatalf("not reached:\n%s", listing(found))
	}
	r.path(t.Context(), hosts[0])
	wants(t, found, "address", doctor.Unknown, at.Host)
	wants(t, found, "WebSocket", doctor.Fine)
	if counted(found, doctor.Fault) != 0 || tunnels.Load() == 0 || strings.Contains(listing(found), "hunter2") {
		t.Errorf("%d tunnels:\n%s", tunnels.Load(), listing(found))
	}
	if at, err := proxyOf(httptest.NewRequest(http.MethodGet, "https://shop.share.localhost:8443/", nil)); at != nil || err != nil {
		t.Errorf("a proxy for a name of this machine: %v, %v", at, err)
	}
}

// tunnel answers CONNECT and copies both ways until either end closes.
func tunnel(w http.ResponseWriter, to string) {
	there, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	copied := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // until the end
		_ = to.Close()
	}
	both.Go(func() { copied(here, there) })
	both.Go(func() { copied(there, here) })
	both.Wait()
}
