package main

import (
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// TestParseVisit: a URL is parsed without being cleaned or decoded, so that explain and
// the plan see the same request.
func TestParseVisit(t *testing.T) {
	p, diags := plan.Build(hcl.ForPort(3000, "shop.localhost"), plan.Env{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	tests := []struct{ text, url, host, path string }{
		{"https://a.localhost/x?y#z", "https://a.localhost/x?y", "a.localhost", "/x"},
		{"wss://a.localhost:8443", "https://a.localhost:8443/", "a.localhost", "/"},
		{"HTTP://a.localhost?x", "http://a.localhost/?x", "a.localhost", "/"},
		{"a.localhost:3000/x", "https://a.localhost:3000/x", "a.localhost", "/x"},
		{"https://u:p@a.localhost/@x", "https://a.localhost/@x", "a.localhost", "/@x"},
		{"https://[::1]:8443/x", "https://[::1]:8443/x", "::1", "/x"},
		{"/x?", "https://shop.localhost/x?", "shop.localhost", "/x"},
		{"", "https://shop.localhost/", "shop.localhost", "/"},
		{"/a%2fb//../c", "https://shop.localhost/a%2fb//../c", "shop.localhost", "/a%2fb//../c"},
		{"/é ?ü", "https://shop.localhost/%C3%A9%20?%C3%BC", "shop.localhost", "/%C3%A9%20"},
		{"/go?to=https://b.localhost/y", "https://shop.localhost/go?to=https://b.localhost/y", "shop.localhost", "/go"},
	}
	for _, tt := range tests {
		v, err := parseVisit(tt.text, p)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if r := v.request(); v.url() != tt.url || r.Host != tt.host || r.Path != tt.path {
			t.Errorf("%q is %s, host %q, path %q; want %s, %q, %q", tt.text, v.url(), r.Host, r.Path, tt.url, tt.host, tt.path)
		}
	}
}
