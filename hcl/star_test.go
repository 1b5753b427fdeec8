package hcl

import "testing"

func TestOverlap(t *testing.T) {
	for _, test := range []struct{ a, b, want string }{ // want is empty for none
		{"/", "/", "/"},
		{"/", "/a", "/a"},
		{"/a", "/b", ""},
		{"/a/*", "/*/b", "/a/b"},
		{"/a/*", "/b/*", ""},
		{"/*", "/*", "/x"},
		{"/app_*", "/app_1", "/app_1"},
		{"/app_*", "/app", ""},
		{"/app_*", "/app_", "/app_"},
		{"/app_*", "/*_x", "/app__x"},
		{"/ab*", "/a*c", "/abc"},
		{"/ab*", "/b*", ""},
		{"/*bc", "/*c", "/bc"},
		{"/*bc", "/*d", ""},
		{"/*m*", "/a*n*b", "/amnb"},
		{"/*m*n*", "/nm", ""},
		{"/*m*n*", "/1m2n3", "/1m2n3"},
		{"/a*a", "/a", ""},
		{"/api/*/store", "/api/1", "/api/1/store"},
		{"/api/*/store", "/app", ""},
		{"/docs/", "/docs/*", ""},
		{"/docs/", "/docs", "/docs/"},
		{"/*/", "/docs/", "/docs/"},
	} {
		for _, pair := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
			if got, ok := Overlap(pair[0], pair[1]); ok != (test.want != "") || ok && got != test.want && len(got) != len(test.want) {
				t.Errorf("Overlap(%q, %q) = %q, %t; want %q", pair[0], pair[1], got, ok, test.want)
			}
		}
	}
}
