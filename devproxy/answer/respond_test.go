package answer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestRespond(t *testing.T) {
	header := func(name, value string) []plan.Header { return []plan.Header{{Name: name, Value: value}} }
	tests := []struct {
		name   string
		method string
		x      plan.Respond
		body   string
		length string
		kind   string
	}{
		{"text", "GET", plan.Respond{Status: 200, Body: "hello"}, "hello", "5", "text/plain; charset=utf-8"},
		{"HTML is not guessed", "GET", plan.Respond{Status: 503, Body: "<p>"}, "<p>", "3", "text/plain; charset=utf-8"},
		{"type of the headers", "POST", plan.Respond{Status: 201, Body: "{}", Headers: header("Content-Type", "application/json")}, "{}", "2", "application/json"},
		{"HEAD", "HEAD", plan.Respond{Status: 200, Body: "hello"}, "", "5", "text/plain; charset=utf-8"},
		{"no body", "GET", plan.Respond{Status: 404}, "", "0", ""},
		{"204", "GET", plan.Respond{Status: 204, Body: "ignored"}, "", "", ""},
		{"205", "GET", plan.Respond{Status: 205, Body: "ignored"}, "", "0", ""},
		{"205 with a length", "GET", plan.Respond{Status: 205, Headers: header("Content-Length", "2")}, "", "0", ""},
		{"304", "GET", plan.Respond{Status: 304, Body: "ignored"}, "", "", ""},
		{"a length that lies", "GET", plan.Respond{Status: 200, Body: "hello", Headers: header("Content-Length", "2")}, "hello", "5", "text/plain; charset=utf-8"},
		{"an encoding that lies", "GET", plan.Respond{Status: 200, Body: "hello", Headers: header("Transfer-Encoding", "gzip")}, "hello", "5", "text/plain; charset=utf-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := Respond(w, r, &test.x); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			r, err := http.NewRequest(test.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			var body strings.Builder
			if _, err := io.Copy(&body, got.Body); err != nil {
				t.Fatal(err)
			}
			if got.StatusCode != test.x.Status || body.String() != test.body ||
				got.Header.Get("Content-Length") != test.length || got.Header.Get("Content-Type") != test.kind {
				t.Errorf("%d %v %q", got.StatusCode, got.Header, body.String())
			}
		})
	}
}
