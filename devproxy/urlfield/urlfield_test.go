package urlfield

import (
	"net/http"
	"strings"
	"testing"
)

// marking marks what it gets, by kind.
func marking() Rewriter {
	mark := func(kind string) func(string) string {
		return func(text string) string { return kind + "(" + text + ")" }
	}
	return Rewriter{URL: mark("URL"), Origin: mark("O"), Source: func(text string) string {
		if strings.Contains(text, "//") {
			return "S(" + text + ")"
		}
		return text
	}}
}

// TestHeader finds the URLs of each field, and nothing else.
func TestHeader(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"Location", "/a", "URL(/a)"},
		{"Content-Location", "a", "URL(a)"},
		{"Hx-Redirect", "/a", "URL(/a)"},
		{"Hx-Location", "/a", "URL(/a)"},
		{"Hx-Location", `{"target":"#x","path":"/a"}`, `{"path":"URL(/a)","target":"#x"}`},
		{"Hx-Location", `{"target":"#x"}`, `{"target":"#x"}`},
		{"Refresh", "5", "5"},
		{"Refresh", "5; url=/a", "5; url=URL(/a)"},
		{"Refresh", "5;URL = '/a'; x", "5;URL = 'URL(/a)'; x"},
		{"Refresh", "5 /a", "5 URL(/a)"},
		{"Refresh", "5, \"/a", "5, \"URL(/a)"},
		{"Refresh", "5; url=", "5; url="},
		{"Link", `</a>; rel=next; title="</b>", <c>; anchor="/d"`, `<URL(/a)>; rel=next; title="</b>", <URL(c)>; anchor="URL(/d)"`},
		{"Link", `</a`, `<URL(/a)`},
		{"Access-Control-Allow-Origin", "https://a.example", "O(https://a.example)"},
		{"Timing-Allow-Origin", "https://a.example, https://b.example", "O(https://a.example), O(https://b.example)"},
		{"Content-Security-Policy", "img-src 'self' https://a.example;report-uri //b.example/r,default-src *", "img-src 'self' S(https://a.example);report-uri S(//b.example/r),default-src *"},
		{"Content-Security-Policy-Report-Only", "img-src //a", "img-src S(//a)"},
		{"X-Other", "/a", "/a"},
	} {
		h := http.Header{test.name: {test.value}}
		urls := marking()
		urls.Header(h)
		if got := h.Get(test.name); got != test.want {
			t.Errorf("%s: %q becomes %q, want %q", test.name, test.value, got, test.want)
		}
	}
	h := http.Header{"Link": {"</a>; x=1"}, "Location": {"/a"}}
	urls := marking()
	urls.LinkText = func(text string) string { return strings.ReplaceAll(text, "x", "y") }
	urls.Link(h)
	if h.Get("Link") != "<URL(/a)>; y=1" || h.Get("Location") != "/a" {
		t.Errorf("%v", h)
	}
}

// TestRequest changes fields of one line.
func TestRequest(t *testing.T) {
	h := http.Header{"Origin": {"a"}, "Referer": {"b"}, "Destination": {"c", "d"}, "Host": {"e"}}
	mark := func(text string) string { return text + "!" }
	Request(h, mark, func(text string) string { return text + "?" })
	if h.Get("Origin") != "a!" || h.Get("Referer") != "b?" || h["Destination"][0] != "c" || h.Get("Host") != "e" {
		t.Errorf("%v", h)
	}
}
