package plan

import (
	"net/http"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// TestConditions: any of several values of a field or parameter is enough, and
// compares whole, case by case; all conditions of a route have to hold.
func TestConditions(t *testing.T) {
	header := func(values ...string) http.Header { return http.Header{"X-A": values} }
	asks := func(name, value string) hcl.Match { return hcl.Match{Headers: map[string]string{name: value}} }
	query := func(name, value string) hcl.Match { return hcl.Match{Query: map[string]string{name: value}} }
	tests := []struct {
		match   hcl.Match
		request Request
		want    bool
	}{
		{asks("X-A", "1"), Request{Header: header("0", "1")}, true},
		{asks("X-A", "1"), Request{Header: header("0, 1")}, false}, // one value, compared whole
		{asks("X-A", "*1*"), Request{Header: header("0, 1, 2")}, true},
		{asks("X-A", "*"), Request{Header: header("")}, true},
		{asks("X-A", "*"), Request{}, false}, // there has to be one
		{asks("X-A", ""), Request{Header: header("")}, true},
		{asks("X-A", ""), Request{Header: header("1")}, false},
		{asks("X-A", "On"), Request{Header: header("on")}, false},
		{asks("Host", "A.localhost"), Request{Host: "a.LOCALHOST."}, true},
		{asks("Host", "b.*"), Request{Host: "a.localhost"}, false},
		{query("q", "a b"), Request{RawQuery: "q=a+b"}, true},
		{query("q", "a b"), Request{RawQuery: "q=a%20b"}, true},
		{query("q", "a+b"), Request{RawQuery: "q=a%2Bb"}, true},
		{query("q[]", "é"), Request{RawQuery: "q%5B%5D=%C3%A9"}, true},
		{query("q", "2"), Request{RawQuery: "q=1&q=2"}, true},
		{query("q", ""), Request{RawQuery: "q"}, true},
		{query("q", "*"), Request{RawQuery: "q"}, true},
		{query("q", "*"), Request{RawQuery: "Q=1&qq=1"}, false},
		{query("q", "a*z"), Request{RawQuery: "q=a%26z"}, true},
		{query("q", "%zz"), Request{RawQuery: "q=%zz"}, true}, // an invalid escape is taken as written
		{hcl.Match{Methods: []string{"P*"}}, Request{Method: "PATCH"}, true},
		{hcl.Match{Methods: []string{"GET"}, Headers: map[string]string{"X-A": "1"}, Query: map[string]string{"q": "1"}},
			Request{Method: "GET", Header: header("1"), RawQuery: "q=1"}, true},
		{hcl.Match{Methods: []string{"GET"}, Headers: map[string]string{"X-A": "1"}, Query: map[string]string{"q": "1"}},
			Request{Method: "GET", Header: header("1")}, false},
	}
	for _, tt := range tests {
		c := conditions(&tt.match)
		if got := c.match(&tt.request); got != tt.want {
			t.Errorf("%q of %+v: %t", c, tt.request, got)
		}
		if why := c.failed(&tt.request); (why == "") != tt.want {
			t.Errorf("%q of %+v failed for %q; want it to agree", c, tt.request, why)
		}
	}
}
