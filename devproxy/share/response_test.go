package share

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// upstreamResponse returns a response whose body arrives in small pieces.
func upstreamResponse(status int, contentType, body string, fields ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(iotest.HalfReader(strings.NewReader(body)))}
	if contentType != "" {
		res.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		res.Header.Set(fields[i], fields[i+1])
	}
	return res
}

const (
	werkzeugPage = "<!doctype html>\n<html lang=en>\n  <head>\n    <title>ZeroDivisionError: division by zero\n // Werkzeug Debugger</title>\n"
	djangoPage   = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta name=\"robots\" content=\"NONE,NOARCHIVE\">\n  <title>x</title>\n<table class=\"meta\">\n <tr>\n <th scope=\"row\">Django Version:</th>"
	railsPage    = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\" />\n  <title>Action Controller: Exception caught</title>"
	phpinfoPage  = "<!DOCTYPE html><html><head>\n<style>\nbody {}</style>\n<title>PHP 8.2.20 - phpinfo()</title>"
)

func TestHiddenResponses(t *testing.T) {
	const text, page, js = "text/plain", "text/html; charset=utf-8", "application/json"
	padding := strings.Repeat("/* style */\n", 1000) // 12 KB
	tests := []struct {
		name   string
		res    *http.Response
		hidden bool
	}{
		{"werkzeug", upstreamResponse(500, page, werkzeugPage), true},
		{"werkzeug's console", upstreamResponse(200, page, "<title>Console // Werkzeug Debugger</title>"), true},
		{"an article on Werkzeug", upstreamResponse(200, page, "<title>How // Werkzeug Debugger works</title>"), false},
		{"django", upstreamResponse(500, page, djangoPage), true},
		{"django of old", upstreamResponse(500, page, "<tr><th>Django Version:</th>"), true},
		{"django after much style", upstreamResponse(500, page, padding+djangoPage), true},
		{"django for programs", upstreamResponse(500, text, "KeyError at /\n'x'\n\nRequest Method: GET\n\nDjango Version: 3.2.19\nPython Executable: /usr/bin/python3\n"), true},
		{"half of django for programs", upstreamResponse(500, text, "Django Version: 3.2.19\n"), false},
		{"a page about Django's page", upstreamResponse(200, page, djangoPage), false},
		{"django's URLs", upstreamResponse(404, page, "<p>\n Using the URLconf defined in <code>shop.urls</code>,"), true},
		{"django's CSRF page", upstreamResponse(403, page, `<meta name="robots" content="NONE,NOARCHIVE"><title>403 Forbidden</title>`), false},
		{"rails", upstreamResponse(500, page, railsPage), true},
		{"rails' routes", upstreamResponse(404, page, railsPage), true},
		{"rails for XMLHttpRequest", upstreamResponse(500, text, "RuntimeError in ShopController#index\n\nRails.root: /home/x/shop\n"), true},
		{"rails for an API", upstreamResponse(500, js, `{"status":500,"error":"Internal Server Error","exception":"#<RuntimeError>","traces":{"Application Trace":[]}}`), true},
		{"rails as XML", upstreamResponse(500, "application/xml; charset=utf-8", `<hash><status type="integer">500</status><traces><Application Trace type="array">`), true},
		{"rails as YAML", upstreamResponse(500, "application/x-yaml", "---\n:status: 500\n:traces:\n  Application Trace:\n  - id: 0\n"), true},
		{"an error of an API as XML", upstreamResponse(500, "application/xml", "<error>Application Trace</error>"), false},
		{"rails for JSON:API", upstreamResponse(500, "application/vnd.api+json", `{"status":500,"traces":{"Application Trace":[]}}`), true},
		{"YAML of a success", upstreamResponse(200, "application/x-yaml", "  Application Trace:\n"), false},
		{"web-console on a page", upstreamResponse(200, page, "<p>hello", "X-Web-Console-Session-Id", "0123"), true},
		{"web-console on anything", upstreamResponse(200, "image/png", "x", "X-Web-Console-Session-Id", "0123"), true},
		{"better_errors", upstreamResponse(500, page, `xhr.open("POST", "/__better_errors/" + OID)`), true},
		{"symfony", upstreamResponse(500, page, "x", "X-Debug-Exception", "x", "X-Debug-Exception-File", "/x.php:1"), true},
		{"symfony's page with a profile", upstreamResponse(200, page, "<p>hello", "X-Debug-Token", "abc"), false},
		{"ignition", upstreamResponse(500, page, "<html>\n<!--\ntrace\n-->\n<head>\n <!-- Hide dumps asap -->"), true},
		{"laravel", upstreamResponse(500, page, `<link href="https://fonts.bunny.net/css?family=figtree:300,400,500,600" rel="stylesheet" />`), true},
		{"laravel for programs", upstreamResponse(500, js, "{\n    \"message\": \"x\",\n    \"exception\": \"ErrorException\",\n    \"file\": \"/home/x/a.php\",\n    \"line\": 7,\n    \"trace\": ["), true},
		{"an error of an API", upstreamResponse(500, js, `{"message":"x","exception":"ErrorException","line":7}`), false},
		{"laravel's own error page", upstreamResponse(500, page, `<link href="https://fonts.bunny.net/css?family=figtree:400,600">`), false},
		{"rack and sinatra", upstreamResponse(500, page, "<li><a href=\"#cookie-info\">Cookies</a></li>\n<li><a href=\"#env-info\">ENV</a></li>"), true},
		{"a page like rack's", upstreamResponse(200, page, "<a href=\"#env-info\">ENV</a>"), false},
		{"codeigniter", upstreamResponse(500, page, "Displayed at 12:00:00 &mdash;\n PHP: 8.3.1 &mdash;\n CodeIgniter: 4.5.1 --\n Environment: development"), true},
		{"codeigniter's page without traces", upstreamResponse(404, page, "&mdash; CodeIgniter: 4.5.1\n</p>"), false},
		{"whoops", upstreamResponse(500, page, "<title>Whoops! There was an error.</title>"), true},
		{"tracy", upstreamResponse(500, page, `<div id="tracy-bs" itemscope>`), true},
		{"tracy, minified", upstreamResponse(500, page, `<div id=tracy-bs itemscope>`), true},
		{"phoenix", upstreamResponse(500, page, ".exception-info > .struct {} .conn-details > dl {}"), true},
		{"phoenix for programs", upstreamResponse(500, "text/markdown", "# RuntimeError at GET /shop\n\nException:\n\n    ** (RuntimeError) x\n"), true},
		{"an error in Markdown", upstreamResponse(500, "text/markdown", "# Error at GET /shop\n\nSomething went wrong\n"), false},
		{"half of phoenix", upstreamResponse(500, page, ".exception-info > .struct {}"), false},
		{"starlette", upstreamResponse(500, page, "<title>Starlette Debugger</title>"), true},
		{"aspnet", upstreamResponse(500, page, "<title>Internal Server Error</title><h1>An unhandled exception occurred while processing the request.</h1>"), true},
		{"aspnet for programs", upstreamResponse(500, text, "System.Exception: x\r\n   at Shop.Main() in /home/x/a.cs:line 7\r\n\r\nHEADERS\r\n=======\r\nCookie: a=b\r\n"), true},
		{"an error with headers", upstreamResponse(500, text, "HEADERS\nCookie: a=b\n"), false},
		{"an error page like aspnet's", upstreamResponse(500, page, "<title>Internal Server Error</title><h1>Something went wrong</h1>"), false},
		{"phpinfo", upstreamResponse(200, page, phpinfoPage), true},
		{"phpinfo of old", upstreamResponse(200, page, "<title>phpinfo()</title>"), true},
		{"phpinfo with an error", upstreamResponse(500, page, phpinfoPage), true},
		{"a page on phpinfo", upstreamResponse(200, page, "<title>What phpinfo() shows</title>"), false},
		{"phpinfo as a script", upstreamResponse(200, "text/javascript", phpinfoPage), false},
		{"phpinfo as text", upstreamResponse(200, text, phpinfoPage), false},
		{"an error as text", upstreamResponse(500, text, werkzeugPage), true},
		{"without a type", upstreamResponse(500, "", werkzeugPage), true},
		{"a page without a type", upstreamResponse(200, "", werkzeugPage), true},
		{"XHTML", upstreamResponse(200, "application/xhtml+xml", werkzeugPage), true},
		{"a broken type", upstreamResponse(500, "Text/HTML; charset", werkzeugPage), true},
		{"a type with two charsets", upstreamResponse(200, "text/html; charset=utf-8; charset=ascii", werkzeugPage), true},
		{"a type without its semicolon", upstreamResponse(200, "text/html charset=utf-8", werkzeugPage), true},
		{"a type after a tab", upstreamResponse(200, "\ttext/html\t;charset=utf-8", werkzeugPage), true},
		{"a type twice", upstreamResponse(200, "text/html, text/html", werkzeugPage), true},
		{"a type with a comment", upstreamResponse(200, "text/html(x)", werkzeugPage), true},
		{"a type that browsers look into", upstreamResponse(200, "unknown/unknown", werkzeugPage), true},
		{"another one", upstreamResponse(200, "application/unknown", werkzeugPage), true},
		{"a third", upstreamResponse(200, "*/*", werkzeugPage), true},
		{"a type that is none", upstreamResponse(200, "html", werkzeugPage), true},
		{"a type that begins like HTML", upstreamResponse(200, "text/html5", werkzeugPage), false},
		{"a download", upstreamResponse(200, "application/octet-stream", werkzeugPage), false},
		{"a download that failed", upstreamResponse(500, "application/octet-stream", werkzeugPage), false},
		{"an image", upstreamResponse(500, "image/png", werkzeugPage), false},
		{"an event stream", upstreamResponse(500, "text/event-stream", werkzeugPage), false},
		{"the lowest status of an error", upstreamResponse(400, page, railsPage), true},
		{"the first status that does not", upstreamResponse(399, page, railsPage), false},
		{"an ordinary error", upstreamResponse(500, page, "<h1>Something went wrong</h1>"), false},
		{"an ordinary page", upstreamResponse(200, page, "<h1>Hello</h1>"), false},
		{"the end of what is looked at", upstreamResponse(500, page, strings.Repeat("x", maxErrorLook-len(railsPage))+railsPage), true},
		{"after what is looked at", upstreamResponse(500, page, strings.Repeat("x", maxErrorLook-len(railsPage)+1)+railsPage), false},
		{"the end of what is looked at of a page", upstreamResponse(200, page, strings.Repeat("x", maxPageLook-len(phpinfoPage))+phpinfoPage), true},
		{"after what is looked at of a page", upstreamResponse(200, page, strings.Repeat("x", maxPageLook-len(phpinfoPage)+1)+phpinfoPage), false},
	}
	for _, coding := range []string{"gzip", "x-gzip", "GZIP ", "deflate", "br", "zstd", "identity"} {
		tests = append(tests, struct {
			name   string
			res    *http.Response
			hidden bool
		}{coding, upstreamResponse(500, page, encoded(t, coding, railsPage), "Content-Encoding", coding), true})
	}
	tests = append(tests, struct {
		name   string
		res    *http.Response
		hidden bool
	}{"deflate without its wrapper", upstreamResponse(500, page, encoded(t, "raw", railsPage), "Content-Encoding", "deflate"), true})
	s := mustNew(t, oneHost())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := s.InspectResponse(test.res)
			var body []byte
			if err == nil {
				body, err = io.ReadAll(test.res.Body)
			}
			var hidden *HiddenResponseError
			if errors.As(err, &hidden) != test.hidden || !test.hidden && err != nil {
				t.Fatalf("hidden: %v, want %v; read %.100q", err, test.hidden, body)
			}
			if hidden != nil && (hidden.Status != test.res.StatusCode || hidden.Hit().Kind != Tools || !strings.HasSuffix(hidden.Hit().Show, "-page") || !strings.Contains(err.Error(), hidden.Hit().What)) {
				t.Errorf("%d %v", hidden.Status, err)
			}
		})
	}
}

func encoded(t *testing.T, coding, text string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip", "x-gzip", "GZIP ":
		w = gzip.NewWriter(&out)
	case "raw":
		var err error
		if w, err = flate.NewWriter(&out, flate.BestSpeed); err != nil {
			t.Fatal(err)
		}
	case "deflate":
		w = zlib.NewWriter(&out)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		var err error
		if w, err = zstd.NewWriter(&out); err != nil {
			t.Fatal(err)
		}
	default:
		return text
	}
	if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A page with a length is hidden before any of it is passed on; one without may be
// a stream.
func TestPagesWithALengthAreHiddenAtOnce(t *testing.T) {
	s := mustNew(t, oneHost())
	for length, hidden := range map[int64]bool{-1: false, 0: false, int64(len(phpinfoPage)): true} {
		res := upstreamResponse(200, "text/html", phpinfoPage)
		res.ContentLength = length
		if err := s.InspectResponse(res); (err != nil) != hidden {
			t.Errorf("length %d: %v", length, err)
		}
	}
}

// TestTypesOfPages: types that browsers show as HTML are always inspected; formats for
// programs only in errors.
func TestTypesOfPages(t *testing.T) {
	for contentType, want := range map[string]struct{ page, failed bool }{
		"text/html": {true, true}, "application/xhtml+xml": {true, true}, "": {true, true}, "text": {true, true},
		"*/*": {true, true}, "unknown/unknown": {true, true}, "application/unknown": {true, true},
		"text/plain": {false, true}, "text/markdown": {false, true}, "application/json": {false, true}, "application/problem+json": {false, true},
		"application/xml": {false, true}, "text/xml": {false, true}, "application/problem+xml": {false, true},
		"application/yaml": {false, true}, "text/yaml": {false, true}, "application/x-yaml": {false, true},
		"text/css": {false, false}, "text/event-stream": {false, false}, "application/x-json": {false, false}, "application/xml+x": {false, false}, "image/png": {false, false},
	} {
		if got := isText(contentType, false); got != want.page {
			t.Errorf("%q, a page: %v", contentType, got)
		}
		if got := isText(contentType, true); got != want.failed {
			t.Errorf("%q, an error: %v", contentType, got)
		}
	}
}

// TestResponsesWithoutABody: they keep http.NoBody, which the forwarder compares with.
func TestResponsesWithoutABody(t *testing.T) {
	s := mustNew(t, oneHost())
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		for _, status := range []int{200, 304, 500} {
			res := upstreamResponse(status, "text/html", "")
			res.Body = body
			if err := s.InspectResponse(res); err != nil || res.Body != body {
				t.Errorf("%d: %v, body %T", status, err, res.Body)
			}
		}
	}
}

// Bodies pass unchanged, to the last byte and with the error at the end.
func TestInspectedBodiesPassWhole(t *testing.T) {
	s := mustNew(t, oneHost())
	for status, length := range map[int]int64{200: -1, 201: 1, 500: -1} {
		for _, size := range []int{0, 1, maxPageLook - 1, maxPageLook, maxPageLook + 1, maxErrorLook - 1, maxErrorLook, maxErrorLook + 1, 300 << 10} {
			for _, end := range []error{nil, io.ErrUnexpectedEOF} {
				want := strings.Repeat("abcdefg", size/7+1)[:size]
				var from io.Reader = strings.NewReader(want)
				if end != nil {
					from = io.MultiReader(from, iotest.ErrReader(end))
				}
				res := upstreamResponse(status, "text/html", "")
				res.Body, res.ContentLength = io.NopCloser(from), length
				if err := s.InspectResponse(res); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				if string(got) != want || !errors.Is(err, end) {
					t.Errorf("%d, %d bytes, %v: got %d bytes, %v", status, size, end, len(got), err)
				}
			}
		}
	}
}

// A slow page is not collected first: each piece passes when it arrives.
func TestPagesAreNotWaitedFor(t *testing.T) {
	in, out := io.Pipe()
	res := upstreamResponse(200, "text/html", "")
	res.Body = in
	if err := mustNew(t, oneHost()).InspectResponse(res); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for i := range 3 {
		piece := fmt.Sprintf("<p>piece %d", i)
		go func() { _, _ = io.WriteString(out, piece) }()
		if n, err := res.Body.Read(buf); err != nil || string(buf[:n]) != piece {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	go func() { _, _ = io.WriteString(out, "<title>phpinfo()</title>") }()
	if n, err := res.Body.Read(buf); n != 0 || err == nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if n, err := res.Body.Read(buf); n != 0 || err == nil {
		t.Errorf("it continues: %q, %v", buf[:n], err)
	}
}

// A small body that expands to a large one costs no more than what is inspected.
func TestTheLookIsBounded(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		bomb := encoded(t, coding, strings.Repeat("x", 16<<20))
		if text := decodedBody([]byte(bomb), coding); len(text) > maxErrorLook {
			t.Errorf("%s: %d bytes", coding, len(text))
		}
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", "unknown"} {
		if text := decodedBody([]byte("no such coding"), coding); len(text) > 0 {
			t.Errorf("%s: %q", coding, text)
		}
	}
}

func TestShowOpensResponses(t *testing.T) {
	opts := oneHost()
	opts.Show = []string{"rails-page", "Symfony-Page"}
	s := mustNew(t, opts)
	for _, test := range []struct {
		res    *http.Response
		hidden bool
	}{
		{upstreamResponse(500, "text/html", railsPage), false},
		{upstreamResponse(500, "text/html", "x", "X-Debug-Exception", "x"), false},
		{upstreamResponse(500, "text/html", werkzeugPage), true},
		{upstreamResponse(200, "text/html", "x", "X-Web-Console-Session-Id", "x"), true},
	} {
		if err := s.InspectResponse(test.res); (err != nil) != test.hidden {
			t.Errorf("%v: %v, hidden: want %v", test.res.Header, err, test.hidden)
		}
	}
}
