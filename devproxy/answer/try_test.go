package answer

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func try(f *plan.Files, method, path string, header http.Header) (*httptest.ResponseRecorder, bool, error) {
	r := httptest.NewRequest(method, "/", nil)
	r.URL = &url.URL{Path: path}
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	answered, err := Try(w, r, &plan.TryFiles{Files: *f}, path)
	return w, answered, err
}

// TestTry: a file of exactly that name is sent; anything else, or a file that must
// not be sent, is the upstream's, and then nothing is written.
func TestTry(t *testing.T) {
	f := tree(t, map[string]string{
		"app.css": "a{}", "a b.txt": "spaced", "index.html": "home", "about.html": "about", "sub/x.js": "x", ".env": secret, ".well-known/x": "known",
		"index.php": secret, "INDEX2.PHP": secret, "index.php.bak": secret, "index.php~": secret, "a.phtml": secret, "x.inc.gz": secret, "run.py": secret, "page.jsp.1": secret,
		"jquery.php.js": "fine", "404.html": "none",
		"#index.php#": secret, "index.php.~1~": secret, "index.php_bak": secret, "index.php-old": secret, "index.php,v": secret, "index.php (copy)": secret,
		"index.php.new": secret, "index.php.example": secret, "index.php.bak.2024-01-31": secret, "index.php.tar.gz": secret, "a.py.unknown": secret,
		"styles.module.css": "css", "messages.pl.json": "{}", "styles.module.css.gz": "gz", "v1.2.10": "version", "LICENSE": "license", "a.unknown": "unknown", "film.ru.srt": "subtitles",
		"a.pl.bak": secret, "a.cs.1": secret,
	})
	if err := os.Symlink("index.php", filepath.Join(f.Dir, "harmless.txt")); err != nil {
		t.Log("this system has no links: ", err)
	}
	_ = os.Symlink("../secret.txt", filepath.Join(f.Dir, "out.txt"))
	for path, want := range map[string]string{ // empty means forwarded
		"/app.css": "a{}", "/a%20b.txt": "spaced", "/index.html": "home", "/sub/x.js": "x", "/.well-known/x": "known", "/jquery.php.js": "fine",
		"/": "", "": "", "/sub": "", "/sub/": "", "/about": "", "/app.css/": "", "/gone.css": "", "/.env": "", "//app.css": "", "/sub/../app.css": "", "/%2e%2e/secret.txt": "",
		"/sub%2Fx.js": "", `/sub\x.js`: "", "/app.css%00": "",
		"/index.php": "", "/INDEX2.PHP": "", "/index2.php": "", "/index.php.bak": "", "/index.php~": "", "/a.phtml": "", "/x.inc.gz": "", "/run.py": "", "/page.jsp.1": "", "/harmless.txt": "", "/out.txt": "", "/index%2Ephp": "", "/index.php%20": "", "/index.php.": "",
		"/%23index.php%23": "", "/index.php.~1~": "", "/index.php_bak": "", "/index.php-old": "", "/index.php,v": "", "/index.php%20(copy)": "",
		"/index.php.new": "", "/index.php.example": "", "/index.php.bak.2024-01-31": "", "/index.php.tar.gz": "", "/a.py.unknown": "",
		"/styles.module.css": "css", "/messages.pl.json": "{}", "/styles.module.css.gz": "gz", "/v1.2.10": "version", "/LICENSE": "license", "/a.unknown": "unknown", "/film.ru.srt": "subtitles",
		"/a.pl.bak": "", "/a.cs.1": "",
	} {
		w, answered, err := try(f, "GET", path, nil)
		if err != nil || answered != (want != "") || answered && w.Body.String() != want || !answered && len(w.Header())+w.Body.Len() > 0 {
			t.Errorf("%s: answered %t: %q %v, %v", path, answered, w.Body, w.Header(), err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		if has := HasTry(r, &plan.TryFiles{Files: *f}, path); has != answered {
			t.Errorf("%s: HasTry is %t", path, has)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"} {
		if _, answered, err := try(f, method, "/app.css", nil); answered || err != nil {
			t.Errorf("%s is answered, %v", method, err)
		}
	}
	if w, answered, _ := try(f, "HEAD", "/app.css", nil); !answered || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "3" {
		t.Errorf("HEAD: %t %v", answered, w.Header())
	}
	if _, answered, _ := try(f, "GET", "/app.css", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}); answered {
		t.Error("an upgrade is answered with a file")
	}
	if w, answered, _ := try(f, "GET", "/app.css", http.Header{"Range": {"bytes=0-0"}}); !answered || w.Code != 206 {
		t.Errorf("range: %d", w.Code)
	}
	// Files that appear later are found, the folder included.
	later := &plan.Files{Dir: filepath.Join(filepath.Dir(f.Dir), "later"), Text: "later"}
	if _, answered, err := try(later, "GET", "/a.js", nil); answered || err != nil {
		t.Errorf("a folder that is not there: %t, %v", answered, err)
	}
	write(t, filepath.Join(later.Dir, "a.js"), "later")
	if w, answered, err := try(later, "GET", "/a.js", nil); !answered || w.Body.String() != "later" {
		t.Errorf("a file that came later: %t, %v", answered, err)
	}
}
