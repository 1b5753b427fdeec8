package devproxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/share"
)

// TestVisitorsSeeNoCachedPagesOfTools: what a local request had a cache keep is
// not given to visitors, neither while it is fetched nor later; nor does what is
// hidden from them change what local clients get. What one share shows, another
// hides again.
func TestVisitorsSeeNoCachedPagesOfTools(t *testing.T) {
	const secret = "SECRET_KEY_BASE"
	begun, goOn := make(chan struct{}, 8), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "max-age=600, stale-while-revalidate=600")
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-goOn
		}
		if r.URL.Path == "/asset" {
			_, _ = io.WriteString(w, "an asset")
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<title>Action Controller: Exception caught</title>"+secret)
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  cache    = true\n}\n", strings.TrimPrefix(app.URL, "http://")), nil)
	local := func(path string) {
		t.Helper()
		if got := s.get(s.url(path)); got.status != 404 || !strings.Contains(got.body, secret) {
			t.Errorf("%s: the developer reads %d %q", path, got.status, got.body)
		}
	}
	visitor := func(path string) {
		t.Helper()
		if got := s.visit(path, "Accept", "text/html"); got.status != 404 || strings.Contains(got.body, secret) {
			t.Errorf("%s: a visitor reads %d %q", path, got.status, got.body)
		}
	}
	for range 2 {
		local("/local-first")
		visitor("/local-first")
		visitor("/visitor-first")
		local("/visitor-first")
	}
	// Of a fetch under way, others wait for the answer.
	var group sync.WaitGroup
	for _, ask := range []func(string){local, visitor} {
		group.Go(func() { ask("/slow") })
		select {
		case <-begun:
		case <-time.After(patience):
			t.Error("the upstream is not asked")
		}
	}
	close(goOn)
	group.Wait()
	for range 2 {
		if got := s.visit("/asset"); got.body != "an asset" {
			t.Errorf("an asset: %d %q", got.status, got.body)
		}
	}

	s.reshare(func(o *share.Options) { o.Show = []string{"rails-page"} })
	if got := s.visit("/shown"); !strings.Contains(got.body, secret) {
		t.Errorf("what is shown on purpose: %d %q", got.status, got.body)
	}
	s.reshare(nil)
	visitor("/shown")
}

// Pages of developer tools may be anywhere: what the upstream answers tells.
func TestVisitorsSeeNoPagesOfTools(t *testing.T) {
	const secret = "SECRET_KEY_BASE"
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/rails":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "<title>Action Controller: Exception caught</title>"+secret)
		case "/routes":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<title>Action Controller: Exception caught</title>"+secret)
		case "/console":
			w.Header().Set("X-Web-Console-Session-Id", "1")
			_, _ = io.WriteString(w, secret)
		case "/own":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "<title>Failed</title>"+secret)
		case "/info":
			_, _ = io.WriteString(w, "<title>phpinfo()</title>"+secret)
		}
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(app.URL, "http://")), nil)
	for path, status := range map[string]int{"/rails": 500, "/routes": 404, "/console": 404} {
		got := s.visit(path, "Accept", "text/html")
		if got.status != status || strings.Contains(got.body, secret) || strings.Contains(got.body, "ails") || got.header.Get("X-Web-Console-Session-Id") != "" {
			t.Errorf("%s: %d %s, want %d and nothing of the page", path, got.status, got.body, status)
		}
		if record := <-s.records; record.Hidden == "" || !strings.HasSuffix(record.Show, "-page") {
			t.Errorf("%s: recorded %+v", path, record)
		}
		local := s.get(s.url(path))
		<-s.records
		if !strings.Contains(local.body, secret) {
			t.Errorf("%s: the developer reads %q", path, local.body)
		}
	}
	if got := s.visit("/own"); got.status != 500 || !strings.Contains(got.body, secret) {
		t.Errorf("the app's own error page: %d %q", got.status, got.body)
	}
	<-s.records
	res, err := s.visitors().Get("http://" + publicName + "/info")
	if err == nil {
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if strings.Contains(string(text), secret) {
			t.Errorf("phpinfo: %q", text)
		}
	}
	if record := <-s.records; record.Hidden != "phpinfo()" || record.Show != "phpinfo-page" {
		t.Errorf("recorded %+v", record)
	}
}
