package devproxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const fixedHosts = `host "shop.localhost" {
  aliases = ["www.shop.localhost"]
  respond = 204
}

host "*.tenant.localhost" { respond = 204 }
`

// TestHostAttacks requests names that are not served, as DNS rebinding and
// cache poisoning do. None is sent anywhere, and none reaches a route.
func TestHostAttacks(t *testing.T) {
	for _, listenBlock := range []string{"", "listen { redirect = false }\n"} {
		s := serveFile(t, listenBlock+fixedHosts)
		for _, host := range []string{
			"evil.example", "evil.example:443", "shop.localhost.evil.example", "evil-shop.localhost", "localhost",
			"127.0.0.1", "[::1]:80", "a.b.tenant.localhost", "tenant.localhost", "xn--shop.localhost", "shop.localhost..",
		} {
			got := s.plain("GET / HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Host: shop.localhost\r\nForwarded: host=shop.localhost\r\nConnection: close\r\n\r\n")
			if got.status != http.StatusNotFound && got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
				t.Errorf("%sHost %s: status %d, Location %q", listenBlock, host, got.status, got.header.Get("Location"))
			}
		}
		// Refused before the plan is consulted.
		for _, host := range []string{"shop.localhost/x", "a@shop.localhost", "shop.localhost:x", "shop.localhost, evil.example", ""} {
			got := s.plain("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			if got.status != http.StatusBadRequest && got.status != http.StatusNotFound {
				t.Errorf("Host %q: status %d", host, got.status)
			}
		}
	}
}

func TestUnknownHostPage(t *testing.T) {
	s := serveFile(t, fixedHosts)
	got := s.get(strings.Replace(s.url("/"), "shop", "shpo", 1), "Accept", "text/html")
	if got.status != 404 {
		t.Fatalf("status %d", got.status)
	}
	for _, want := range []string{
		"shpo.localhost is not in any Proxyfile served now.", "devproxy v1.2.3", "devproxy open", "devproxy status --all", "upstream = 3000",
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page does not say %q:\n%s", want, got.body)
		}
	}
	// The client chooses the name: it must not become markup, nor text to paste into
	// a file when it is not a name of this machine.
	hostile := s.plain("GET / HTTP/1.1\r\nHost: <script>alert(1)</script>\r\nAccept: text/html\r\n\r\n")
	if strings.Contains(hostile.body, "<script>alert") {
		t.Errorf("the page carries markup of the visitor:\n%s", hostile.body)
	}
}

// TestOtherNameOnAConnection: a request for another project's name on a connection that
// is open is not answered with 404, which would say that no project serves the name.
func TestOtherNameOnAConnection(t *testing.T) {
	s := serveFile(t, fixedHosts)
	for name, want := range map[string]int{"blog.localhost": http.StatusMisdirectedRequest, "SHOP.localhost": http.StatusNoContent, "shop.localhost.": http.StatusNoContent, "shop.localhost..": http.StatusNotFound, "shop.localhost...": http.StatusNotFound} {
		for _, http2 := range []bool{false, true} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/"), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = name
			response, err := s.client(http2).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s: %d, want %d; %s", name, response.StatusCode, want, body)
			}
		}
	}
}

// TestWaitingPage navigates to a port that nothing listens on.
func TestWaitingPage(t *testing.T) {
	port := freePort(t)
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", port))
	got := s.get(s.url("/a?b"), "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html")
	if got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	for _, want := range []string{fmt.Sprintf("Nothing is listening on port %d yet.", port), "Proxyfile:1", "connection refused", statePath} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page does not say %q:\n%s", want, got.body)
		}
	}
	if x := <-s.records; x.Status != 503 || x.Page != "waiting page" || x.Route != "Proxyfile:1" || x.Target != "/a?b" {
		t.Errorf("recorded %+v", x)
	}
}

// TestHeadsThatAreTooLarge: in HTTP/2 each is refused on its own stream, and what else
// the connection carries goes on.
func TestHeadsThatAreTooLarge(t *testing.T) {
	d := newDevServer(t, "web")
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %d }\n", d.port()))
	for _, http2 := range []bool{true, false} {
		client := s.client(http2)
		slow := make(chan error, 1)
		go func() {
			got, err := get(t.Context(), client, s.url("/slow"))
			if err == nil && got.body != "web finished" {
				err = fmt.Errorf("%d %s", got.status, got.body)
			}
			slow <- err
		}()
		<-d.arrived
		for name, test := range map[string]struct {
			path, cookie string
			want         int
		}{
			"a long cookie":    {"/", strings.Repeat("a", 60<<10), 200},
			"a longer cookie":  {"/", strings.Repeat("a", 70<<10), 431},
			"all cookies":      {"/", strings.Repeat("a", 700<<10), 431},
			"a long URL":       {"/?" + strings.Repeat("a", 15<<10), "", 200},
			"a longer URL":     {"/?" + strings.Repeat("a", 17<<10), "", 414},
			"a very large URL": {"/?" + strings.Repeat("a", 200<<10), "", 414},
		} {
			got, err := get(t.Context(), client, s.url(test.path), "Cookie", "c="+test.cookie)
			if err != nil || got.status != test.want {
				t.Errorf("HTTP/2 %v, %s: %d, %v; want %d", http2, name, got.status, err, test.want)
			}
		}
		close(d.finish)
		if err := <-slow; err != nil {
			t.Errorf("HTTP/2 %v: the request next to them: %v", http2, err)
		}
		d.finish = make(chan struct{})
	}
}
