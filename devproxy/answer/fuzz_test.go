package answer

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzFiles has a naive reading as the oracle: whatever is served with 200 is
// the file that the path, decoded once, names in so many words. The secret
// next to the folder and the dot files in it never are.
func FuzzFiles(f *testing.F) {
	for _, rest := range []string{
		"/", "", "/page", "/page.html", "/sub/deep.txt", "/sub/", "/out", "/.env", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
		`/..\secret.txt`, "/page%00", "//etc/passwd", "/link/deep.txt", "/%70age", "/sub/%2e%2e/page", "/\u200c.env",
	} {
		f.Add(rest, false)
		f.Add(rest, true)
	}
	content := map[string]string{
		"index.html": "home", "page.html": "page", "sub/deep.txt": "deep", "sub/index.html": "sub home",
		".env": secret, ".git/config": secret, "sub/.a": secret,
	}
	spec := tree(f, content)
	for link, target := range map[string]string{"out": "../secret.txt", "link": "sub", "env": ".env"} {
		if err := os.Symlink(target, filepath.Join(spec.Dir, link)); err != nil {
			f.Fatal(err)
		}
	}
	content["link/deep.txt"], content["link/index.html"] = "deep", "sub home"
	f.Fuzz(func(t *testing.T, rest string, spa bool) {
		asked := *spec
		asked.SPA = spa
		w, err := get(&asked, "GET", rest, "", nil)
		body := w.Body.String()
		if strings.Contains(body, secret) {
			t.Fatalf("%q: served a secret", rest)
		}
		if err != nil && (body != "" || status(w, err) != 404) {
			t.Fatalf("%q: %d %q with the error %v", rest, w.Code, body, err)
		}
		if err != nil || w.Code != 200 || spa && body == "home" {
			return
		}
		path, err := url.PathUnescape(rest)
		if err != nil {
			t.Fatalf("%q: served %q for a path that cannot be decoded", rest, body)
		}
		for _, suffix := range []string{"", ".html", "index.html"} {
			if body == content[strings.TrimPrefix(path, "/")+suffix] {
				return
			}
		}
		t.Fatalf("%q: served %q", rest, body)
	})
}
