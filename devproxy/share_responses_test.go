package devproxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
			_, _ = io.WriteString(w, "<title>Sorry</title>"+secret)
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
		if record := <-s.records.C; record.Hidden == "" || !strings.HasSuffix(record.Show, "-page") {
			t.Errorf("%s: recorded %+v", path, record)
		}
		local := s.get(s.url(path))
		<-s.records.C
		if !strings.Contains(local.body, secret) {
			t.Errorf("%s: the developer reads %q", path, local.body)
		}
	}
	if got := s.visit("/own"); got.status != 500 || !strings.Contains(got.body, secret) {
		t.Errorf("the app's own error page: %d %q", got.status, got.body)
	}
	<-s.records.C
	res, err := s.visitors().Get("http://" + publicName + "/info")
	if err == nil {
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if strings.Contains(string(text), secret) {
			t.Errorf("phpinfo: %q", text)
		}
	}
	if record := <-s.records.C; record.Hidden != "phpinfo()" || record.Show != "phpinfo-page" {
		t.Errorf("recorded %+v", record)
	}
}
