package scaffold

import (
	"fmt"
	"strings"
	"testing"
)

func TestPrefixes(t *testing.T) {
	for key, want := range map[string]string{
		"/api":                 "/api",
		"/api/":                "/api",
		"/api/**":              "/api",
		"/api/*":               "/api",
		"api":                  "/api",
		"/":                    "/",
		"**":                   "/",
		"^/api":                "/api",
		"^/api/.*":             "/api",
		"^/a/(.*)":             "/a",
		"^/a(/.*)?$":           "/a",
		"^/a/?":                "/a",
		"^/a/?(.*)":            "/a",
		"^/(a|b)":              "/a /b",
		"^/(api|auth)/.*":      "/api /auth",
		"^/(?:a|b/c)/.*$":      "/a /b/c",
		"^/v[12]/":             "/v1 /v2",
		"^/robots\\.txt$":      "/robots.txt=",
		"^\\/api\\/(.*)$":      "/api",
		"^/users/[^/]+/photos": "/users/*/photos",
		"^/users/\\d+":         "",
		"^/users/[^/]+":        "/users/*",
		"^/(.*)/x":             "",
		"^/pkg.api.v1":         "/pkg.api.v1*",
		"^/app_[^/]+/":         "/app_*",
		"/app_*":               "/app_*",
		"^/(?!api).*":          "",
		"^/.*\\.php$":          "",
		"^(?i)/api":            "",
		"/a b":                 "",
		"/a/../b":              "",
		"^/[a-z]":              "",
	} {
		var got []string
		for _, p := range prefixes(key) {
			mark := ""
			if p.exact {
				mark = "="
			}
			got = append(got, fmt.Sprint(p.path, mark))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", key, strings.Join(got, " "), want)
		}
	}
}
