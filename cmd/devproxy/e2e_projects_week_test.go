//go:build e2e && unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestE2EProjectDocs(t *testing.T) {
	var searched atomic.Int64
	search := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "search %d %s", searched.Add(1), r.URL.RawQuery)
	})
	p := startProject(t, "docs", "docs.localhost", map[int]http.Handler{7700: search})
	long := strings.Repeat("<p>documentation</p>\n", 1000)
	saveFile(t, filepath.Join(p.dir, "site", "long.html"), long)
	p.redirects(map[string]string{
		"GET /v1":               "302 /v2",
		"GET /v1/api/x?q=1":     "302 /v2/api/x?q=1",
		"GET /guide/start.html": "301 /guide/",
		"GET /blog/2024/a":      "308 https://blog.example.com/2024/a",
	})
	client := p.client("h2")
	for path, file := range map[string]string{
		"/": "site/index.html", "/guide/": "site/guide/index.html", "/playground/": "playground/index.html", "/playground/any/route": "playground/index.html",
	} {
		want, err := os.ReadFile(filepath.Join(p.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if a := p.ask(client, "GET "+path, nil, "Accept-Encoding", "identity"); a.StatusCode != 200 || a.body != string(want) {
			t.Errorf("%s: %s %.200q, want %s", path, a.Status, a.body, file)
		}
	}
	for _, coding := range []string{"zstd", "br", "gzip"} {
		if a := p.ask(client, "GET /long", nil, "Accept-Encoding", coding); a.Header.Get("Content-Encoding") != coding || len(a.body) > len(long)/2 {
			t.Errorf("%s: %s, %d bytes, %v", coding, a.Status, len(a.body), a.Header)
		}
	}
	p.wants(map[string]string{"GET /search?q=a": "200 search 1 q=a"})
	p.wants(map[string]string{"GET /search?q=a": "200 search 1 q=a"}) // kept
	p.wants(map[string]string{"GET /search?q=b": "200 search 2 q=b"})
}

func TestE2EProjectWebhooks(t *testing.T) {
	p := startProject(t, "webhooks", "pay.localhost", map[int]http.Handler{3000: named("app"), 3001: named("github")})
	p.wants(map[string]string{
		"GET /":               "200 app GET /",
		"POST /hooks/stripe":  "200 app POST /hooks/stripe",
		"GET /hooks/stripe":   "405 POST only\n",
		"POST /hooks/github":  "405 POST only\n", // without the event's name
		"DELETE /hooks/other": "405 POST only\n",
	})
	client := p.client("h2")
	if a := p.ask(client, "GET /hooks/stripe", nil); a.Header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", a.Header.Get("Allow"))
	}
	if a := p.ask(client, "POST /hooks/github", bytes.NewReader(make([]byte, 1<<20)), "X-GitHub-Event", "push"); a.body != "github POST /hooks/github" {
		t.Errorf("github's: %s %s", a.Status, a.body)
	}
	if a := p.ask(client, "POST /hooks/stripe", bytes.NewReader(make([]byte, 256_001))); a.StatusCode != 413 {
		t.Errorf("one that is too large: %s", a.Status)
	}
	for end := time.Now().Add(patience); ; {
		a := p.ask(client, "POST /hooks/stripe", nil)
		if a.StatusCode == 429 {
			if a.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("no limit")
		}
	}
}

func TestE2EProjectReplicas(t *testing.T) {
	staging := httptest.NewTLSServer(named("staging"))
	t.Cleanup(staging.Close)
	replicas := map[int]http.Handler{}
	for port := 3001; port <= 3003; port++ {
		replicas[port] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, port) })
	}
	p := startProject(t, "replicas", "api.localhost", replicas, "https://staging.example.com", staging.URL)
	client := p.client("h2")
	seen := map[string]bool{}
	for range 30 {
		seen[p.ask(client, "POST /uploads", nil).body] = true
	}
	if len(seen) != 3 {
		t.Errorf("the uploads are answered by %v", seen)
	}
	first := p.ask(client, "GET /reports", nil)
	cookies := first.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("the reports set the cookies %v", cookies)
	}
	for range 10 {
		if a := p.ask(client, "GET /reports", nil, "Cookie", cookies[0].Name+"="+cookies[0].Value); a.body != first.body {
			t.Errorf("a session moved from %s to %s", first.body, a.body)
		}
	}
	// One server stops: no client notices.
	p.servers[3001].Close()
	for range 30 {
		if a := p.ask(client, "GET /x", nil); a.StatusCode != 200 || a.body == "3001" {
			t.Errorf("with one away: %s %s", a.Status, a.body)
		}
	}
	p.servers[3002].Close()
	p.servers[3003].Close()
	if a := p.ask(client, "GET /x", nil); a.body != "staging GET /x" {
		t.Errorf("with all away: %s %.200s", a.Status, a.body)
	}
}

func TestE2EProjectStubs(t *testing.T) {
	p := startProject(t, "stubs", "mock.localhost", map[int]http.Handler{5173: named("vite"), 8080: named("api")})
	p.wants(map[string]string{
		"GET /":              "200 vite GET /",
		"GET /api/health":    "204 ",
		"GET /api/users/me":  `200 {"id":1,"name":"Ann"}`,
		"POST /api/orders":   "402 no money\n",
		"PUT /api/orders/17": "402 no money\n",
	})
	if a := p.ask(p.client("h2"), "GET /api/users/me", nil, "Origin", "http://localhost:6006"); a.Header.Get("Content-Type") != "application/json" ||
		a.Header.Get("Access-Control-Allow-Origin") != "http://localhost:6006" {
		t.Errorf("the stub: %v", a.Header)
	}
	// Of 400 calls with a chance of 5 % each, that none fails, or more than 80,
	// is less likely than 1 in 100 million.
	const calls, most = 400, 80
	var failed, answered atomic.Int64
	var group sync.WaitGroup
	client := p.client("h2")
	start := time.Now()
	for range calls {
		group.Go(func() {
			status, err := p.status(client, "/api/slow")
			switch {
			case err != nil:
				t.Error(err)
			case status == http.StatusOK:
				answered.Add(1)
			case status >= 500:
				failed.Add(1)
			default:
				t.Errorf("status %d", status)
			}
		})
	}
	group.Wait()
	if failed.Load() == 0 || failed.Load() > most || time.Since(start) < 300*time.Millisecond {
		t.Errorf("%d of %d failed, in %v", failed.Load(), calls, time.Since(start))
	}
}

// status requests path and drops the body. Unlike ask it may be called from any
// goroutine.
func (p *project) status(client *http.Client, path string) (int, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url(p.host, path), nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	var rest bytes.Buffer
	_, err = rest.ReadFrom(res.Body)
	return res.StatusCode, errors.Join(err, res.Body.Close())
}
