package answer

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWellKnown has .well-known be the one dot folder that is served, at the
// top of the folder alone (RFC 8615).
func TestWellKnown(t *testing.T) {
	const json, binary = "application/json", "application/octet-stream"
	f := tree(t, map[string]string{
		"index.html":                                "home",
		".well-known/assetlinks.json":               "[]",
		".well-known/apple-app-site-association":    ` {"applinks": {}}`,
		".well-known/openid-configuration":          `{"issuer": ""}`,
		".well-known/security.txt":                  "Contact:",
		".well-known/acme-challenge/token":          "token.key",
		".well-known/pki/root.cer2":                 "\x00\x01",
		".well-known/nodeinfo/index.html":           "info",
		".well-known/appspecific/com.chrome.x.json": "{}",
		"sub/.well-known/x":                         secret,
		".well-known/.secret":                       secret,
		".other/x":                                  secret,
	})
	page := http.Header{"Accept": {"text/html"}}
	for rest, want := range map[string][2]string{
		"/.well-known/assetlinks.json":               {"[]", json},
		"/%2ewell-known/assetlinks.json":             {"[]", json},
		"/.well-known/apple-app-site-association":    {` {"applinks": {}}`, json},
		"/.well-known/openid-configuration":          {`{"issuer": ""}`, json},
		"/.well-known/security.txt":                  {"Contact:", "text/plain; charset=utf-8"},
		"/.well-known/acme-challenge/token":          {"token.key", "text/plain; charset=utf-8"},
		"/.well-known/pki/root.cer2":                 {"\x00\x01", binary},
		"/.well-known/nodeinfo/":                     {"info", "text/html; charset=utf-8"},
		"/.well-known/appspecific/com.chrome.x.json": {"{}", json},
		"/sub/.well-known/x":                         {},
		"/.well-known/.secret":                       {},
		"/.well-known/":                              {},
		"/.well-known/missing":                       {},
		"/.well-known/missing.json":                  {},
		"/.other/x":                                  {},
		"/.well-known.json":                          {},
	} {
		for _, spa := range []bool{false, true} {
			f.SPA = spa
			w, err := get(f, "GET", rest, "", page.Clone())
			if want[1] == "" {
				if status(w, err) != 404 || w.Body.Len() != 0 {
					t.Errorf("%s, spa %v: %d %q", rest, spa, w.Code, w.Body)
				}
			} else if err != nil || w.Body.String() != want[0] || w.Header().Get("Content-Type") != want[1] {
				t.Errorf("%s, spa %v: %q %v, %v", rest, spa, w.Body, w.Header(), err)
			}
		}
	}
}

// TestMediaTypes has types that do not depend on the machine.
func TestMediaTypes(t *testing.T) {
	segment := strings.Repeat("G"+strings.Repeat("\x00", 187), 3)
	f := tree(t, map[string]string{"segment.ts": segment, "short.ts": segment[:200], "good.ts": "Good()"})
	for name, want := range map[string]string{
		"segment.ts": "video/mp2t", "short.ts": "video/mp2t", "good.ts": "application/typescript; charset=utf-8",
	} {
		if w, err := get(f, "GET", "/"+name, "", nil); err != nil || w.Header().Get("Content-Type") != want {
			t.Errorf("%s: %v, %v", name, w.Header(), err)
		}
	}
	for name, want := range map[string]string{
		"a.ts": "application/typescript; charset=utf-8", "a.d.MTS": "application/typescript; charset=utf-8", "a.cts": "application/typescript; charset=utf-8",
		"a.wasm": "application/wasm", "a.mjs": "text/javascript; charset=utf-8", "a.csv": "text/csv; charset=utf-8", "a.yaml": "application/yaml",
		"a.otf": "font/otf", "a.vtt": "text/vtt; charset=utf-8", "a.m3u8": "application/vnd.apple.mpegurl", "a.wav": "audio/wav", "a.tsx": "text/tsx; charset=utf-8",
	} {
		if got := mediaType(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestStrayLinks has the error name the link that leads away.
func TestStrayLinks(t *testing.T) {
	f := tree(t, map[string]string{"index.html": "home", ".env": secret, "sub/a.txt": "a"})
	for link, target := range map[string]string{
		"out.txt": "../secret.txt", "up": "..", "absolute": filepath.Dir(f.Dir), "page.html": "../secret.txt", "env.txt": ".env",
		"chain": "sub/chain", "sub/chain": "../../secret.txt", "nowhere": "../gone", "inside": "sub", "circle": "circle", "sub/deep": "../..",
	} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(f.Dir, filepath.FromSlash(link))); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	for rest, want := range map[string]string{
		"/out.txt": "out.txt", "/up/secret.txt": "up", "/up/": "up", "/up/other/index.html": "up", "/absolute/secret.txt": "absolute", "/absolute": "absolute",
		"/page": "page.html", "/env.txt": "env.txt dot", "/chain": "chain", "/sub/chain": "sub/chain", "/sub/deep/secret.txt": "sub/deep",
		"/nowhere": "", "/circle": "", "/inside/gone": "", "/gone": "", "/sub/a.txt/x": "", "/gone/out.txt": "",
	} {
		_, err := get(f, "GET", rest, "", nil)
		var missing *NotFoundError
		if !errors.As(err, &missing) {
			t.Errorf("%s: %v", rest, err)
			continue
		}
		got := missing.Link
		if missing.LinkDot {
			got += " dot"
		}
		if got != want || (want != "") != strings.Contains(missing.Error(), "is a link") {
			t.Errorf("%s: %q (%v), want %q", rest, got, missing, want)
		}
	}
}
