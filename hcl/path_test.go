package hcl

import (
	"regexp"
	"strings"
	"testing"
)

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

// FuzzOverlap checks that both routes match the path that Overlap returns, and that
// no short path matches both if it returns none.
func FuzzOverlap(f *testing.F) {
	for _, pair := range [][2]string{{"/a*b", "/ab*"}, {"/*a*", "/b*a"}, {"/a*a", "/a"}, {"/*/a", "/b/*"}, {"/a/", "/a/*"}, {"/*b*a", "/*a*b"}} {
		f.Add(pair[0], pair[1])
	}
	var words []string
	for _, first := range []string{"", "a", "b"} {
		for _, second := range []string{"", "a", "b"} {
			for _, third := range []string{"", "a", "b"} {
				words = append(words, first+second+third)
			}
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 8 || len(b) > 8 || strings.Trim(a+b, "/*ab") != "" || !strings.HasPrefix(a, "/") || !strings.HasPrefix(b, "/") || strings.Contains(a+b, "//") || a == "/" || b == "/" {
			t.Skip()
		}
		match := func(path, pattern string) bool {
			expr := "^" + strings.ReplaceAll(strings.ReplaceAll(pattern, "/*/", "/[^/]+/"), "*", "[^/]*") + "$"
			for segment := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
				if strings.Trim(segment, "*") == "" && segment != "" {
					expr = "" // a single star, for which the expression above is too strict
				}
			}
			return expr == "" || regexp.MustCompile(expr).MatchString(path)
		}
		example, ok := Overlap(a, b)
		if strings.Count(a, "/") != strings.Count(b, "/") {
			return
		}
		if ok && (!match(example, a) || !match(example, b)) {
			t.Fatalf("Overlap(%q, %q) = %q", a, b, example)
		}
		if !ok && strings.Count(a, "/") == 1 && !strings.HasSuffix(a, "/") && !strings.HasSuffix(b, "/") {
			for _, word := range words {
				if word != "" && matchSegment(a[1:], word) && matchSegment(b[1:], word) {
					t.Fatalf("Overlap(%q, %q) is false, and both match %q", a, b, word)
				}
			}
		}
	})
}
