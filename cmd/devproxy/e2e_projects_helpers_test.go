//go:build e2e && unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// projectFiles holds the ten projects of a developer's week.
var projectFiles = filepath.Join("..", "..", "testdata", "proxyfile", "valid")

// project is a running devproxy on one of them.
type project struct {
	*upProcess
	t       *testing.T
	host    string
	servers map[int]*httptest.Server // by the port that the Proxyfile has
}

// startProject runs the Proxyfile of that name in its own folder. Each of its
// ports becomes one that a server here listens on; replace are further pairs of
// texts to change.
func startProject(t *testing.T, name, host string, ports map[int]http.Handler, replace ...string) *project {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(projectFiles, name+".hcl"))
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, host: host, servers: map[int]*httptest.Server{}}
	for port, handler := range ports {
		p.servers[port] = httptest.NewServer(handler)
		t.Cleanup(p.servers[port].Close)
	}
	content := regexp.MustCompile(`\b\d{4,5}\b`).ReplaceAllStringFunc(string(text), func(number string) string {
		port, _ := strconv.Atoi(number)
		if server := p.servers[port]; server != nil {
			return strconv.Itoa(server.Listener.Addr().(*net.TCPAddr).Port)
		}
		return number
	})
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(content, replace[i]) {
			t.Fatalf("%s.hcl has no %q any more", name, replace[i])
		}
	}
	dir := projectDir(t, strings.NewReplacer(replace...).Replace(content))
	for _, folder := range []string{"site", "assets", "playground"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(projectFiles, folder))); err != nil {
			t.Fatal(err)
		}
	}
	p.upProcess = startUp(t, dir)
	return p
}

// named answers with its name, the method and the target.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %s %s", name, r.Method, r.RequestURI)
	})
}

// answer is a response with its body read.
type projectAnswer struct {
	*http.Response
	body string
}

// ask sends a request, "GET /path" or "GET host/path", with fields "Name", "value".
func (p *project) ask(client *http.Client, request string, body io.Reader, fields ...string) projectAnswer {
	p.t.Helper()
	method, target, _ := strings.Cut(request, " ")
	host, path, _ := strings.Cut(target, "/")
	if host == "" {
		host = p.host
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url(host, "/"+path), body)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatalf("%s: %v", request, err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("%s: %v", request, err)
	}
	return projectAnswer{res, string(got)}
}

// wants requests each key and compares "STATUS body".
func (p *project) wants(want map[string]string) {
	p.t.Helper()
	client := p.client("h2")
	for request, text := range want {
		if a := p.ask(client, request, nil); fmt.Sprintf("%d %s", a.StatusCode, a.body) != text {
			p.t.Errorf("%s: %d %.300s, want %s", request, a.StatusCode, a.body, text)
		}
	}
}

// redirects requests each key and compares "STATUS Location".
func (p *project) redirects(want map[string]string) {
	p.t.Helper()
	client := p.client("h2")
	for request, text := range want {
		if a := p.ask(client, request, nil); fmt.Sprintf("%d %s", a.StatusCode, a.Header.Get("Location")) != text {
			p.t.Errorf("%s: %d to %q, want %s", request, a.StatusCode, a.Header.Get("Location"), text)
		}
	}
}

// origins asks request for a page of each origin: those that may read the
// answer with credentials are true.
func (p *project) origins(request string, want map[string]bool) {
	p.t.Helper()
	client := p.client("h2")
	for origin, allowed := range want {
		for _, preflight := range []bool{false, true} {
			fields := []string{"Origin", origin}
			asked := request
			if preflight {
				_, target, _ := strings.Cut(request, " ")
				asked = "OPTIONS " + target
				fields = append(fields, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-grpc-web")
			}
			a := p.ask(client, asked, nil, fields...)
			got := a.Header.Get("Access-Control-Allow-Origin") == origin && a.Header.Get("Access-Control-Allow-Credentials") == "true"
			if got != allowed || !allowed && a.Header.Get("Access-Control-Allow-Origin") != "" {
				p.t.Errorf("%s from %s: %v", asked, origin, a.Header)
			}
			if !strings.Contains(strings.ToLower(strings.Join(a.Header.Values("Vary"), ",")), "origin") {
				p.t.Errorf("%s from %s: Vary is %q", asked, origin, a.Header.Values("Vary"))
			}
		}
	}
}
