//go:build unix

package answer

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// trap is a folder with everything in and around it that must stay hidden.
func trap(t testing.TB) (dir string, open func(rest string) (int, string)) {
	t.Helper()
	f := tree(t, map[string]string{
		"index.html":       "home",
		"page.html":        "page",
		"sub/deep.txt":     "deep",
		".env":             secret,
		".env.html":        secret,
		".git/config":      secret,
		".well-known/.env": secret, "sub/.well-known/x": secret, ".well-knownx": secret,
		"sub/.hidden/a":    secret,
		"..%2fsecret.html": "a name that only looks like a way out",
	})
	for link, target := range map[string]string{
		"out":      "../secret.txt",
		"out.html": "../secret.txt",
		"absolute": filepath.Join(filepath.Dir(f.Dir), "secret.txt"),
		"up":       "..",
		"env.txt":  ".env", ".well-known/env": "../.env",
		"repository":    ".git",
		"chain":         "sub/chain",
		"sub/chain":     "../../secret.txt",
		"circle":        "circle",
		"page.html.gz":  "../secret.txt",
		"inside":        "sub/deep.txt",
		"insideroot":    filepath.Join(f.Dir, "sub"),
		"there-back":    "../public/page.html",
		"sub/index.htm": "/etc/passwd",
	} {
		if err := os.Symlink(target, filepath.Join(f.Dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(f.Dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f.Dir, func(rest string) (int, string) {
		w, err := get(f, "GET", rest, "", map[string][]string{"Accept-Encoding": {"gzip"}})
		return status(w, err), w.Body.String()
	}
}

func TestTraversal(t *testing.T) {
	_, open := trap(t)
	for _, rest := range []string{
		// Out of the folder by the path.
		"/../secret.txt", "/sub/../../secret.txt", "/./page", "/sub/../page", "/..", "/.", "/../",
		"/%2e%2e/secret.txt", "/%2E%2E%2Fsecret.txt", "/..%2fsecret.txt", "/%2e%2e%5csecret.txt",
		"/..%5Csecret.txt", `/..\secret.txt`, `/sub\deep.txt`, "/sub%5Cdeep.txt", "/sub%2fdeep.txt",
		"/.%2e/secret.txt", "/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/..%252fsecret.txt",
		"/..%c0%afsecret.txt", "/%c0%ae%c0%ae/secret.txt", "/....//secret.txt", "/..;/secret.txt",
		"/../public/page.html", "../secret.txt", "secret.txt",
		// Absolute, and several slashes.
		"//etc/passwd", "///etc/passwd", "/%2fetc/passwd", "//page", "/sub//deep.txt", "//", "/C:/secret.txt",
		// NUL, and escapes that are none.
		"/page%00", "/page.html%00.txt", "/\x00", "/page\x00.html", "/%", "/%2", "/%zz", "/page%",
		// Dot files.
		"/.env", "/%2eenv", "/%2Eenv", "/.git/config", "/%2egit/config", "/sub/.hidden/a", "/sub/.well-known/x", "/.well-known", "/.well-known/.env", "/.well-knownx", "/.Well-Known/x", "/.well-known/env", "/.well-known/../.env", "/.well-known%2f.env",
		"/.well-known/%2e%2e/.env",
		"/.git", "/.git/", "/.env.html", "/\u200c.env", "/%e2%80%8c.env",
		// Links that lead out, or to a dot file.
		"/out", "/out.html", "/absolute", "/up/secret.txt", "/up/", "/up", "/env.txt", "/repository/config", "/chain",
		"/sub/chain", "/circle", "/circle/x", "/sub/index.htm",
		// No regular file.
		"/pipe", "/sub", "/sub/",
		// Far too long.
		"/" + strings.Repeat("a", 5000), strings.Repeat("/a", 5000),
	} {
		if code, body := open(rest); code != 404 || body != "" {
			t.Errorf("%.60q: %d %q", rest, code, body)
		}
	}
}

// TestLinksInside: the guards do not refuse allowed links.
func TestLinksInside(t *testing.T) {
	_, open := trap(t)
	for rest, want := range map[string]string{
		"/page":                "page", // whose .gz leads out, and is passed over
		"/inside":              "deep",
		"/insideroot/deep.txt": "deep",
		"/there-back":          "page",
		"/..%252fsecret":       "",
	} {
		if code, body := open(rest); body != want {
			t.Errorf("%q: %d %q, want %q", rest, code, body, want)
		}
	}
}

// TestDirIsALink has the folder itself be a link, which the Proxyfile asks for
// by name, into a dot folder.
func TestDirIsALink(t *testing.T) {
	f := tree(t, map[string]string{".vitepress/dist/index.html": "home"})
	link := filepath.Join(t.TempDir(), "dist")
	if err := os.Symlink(filepath.Join(f.Dir, ".vitepress/dist"), link); err != nil {
		t.Fatal(err)
	}
	f.Dir = link
	if w, err := get(f, "GET", "/", "", nil); err != nil || w.Body.String() != "home" {
		t.Errorf("%q, %v", w.Body, err)
	}
}

// TestLinkRace swaps a file for a pipe and for links that lead out or to a dot
// file, again and again, while it is asked for.
func TestLinkRace(t *testing.T) {
	dir, open := trap(t)
	target := filepath.Join(dir, "raced")
	ctx, stop := context.WithCancel(t.Context())
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for ctx.Err() == nil {
			for _, to := range []string{"../secret.txt", ".env"} {
				os.Symlink(to, target+".new")
				os.Rename(target+".new", target)
				os.Link(filepath.Join(dir, "page.html"), target+".new")
				os.Rename(target+".new", target)
			}
			os.Link(filepath.Join(dir, "pipe"), target+".new")
			os.Rename(target+".new", target)
		}
	})
	served := 0
	for range 3000 {
		_, body := open("/raced")
		if strings.Contains(body, secret) {
			t.Error("served what the link led to")
			break
		}
		if body == "page" {
			served++
		}
	}
	stop()
	swapping.Wait()
	if served == 0 {
		t.Error("never served the file: nothing was raced")
	}
}
