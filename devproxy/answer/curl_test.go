package answer

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// serveFiles serves f below "/p" on a real socket.
func serveFiles(t *testing.T, f *plan.Files) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, _, _ := strings.Cut(strings.TrimPrefix(r.RequestURI, "/p"), "?")
		if err := Files(w, r, f, rest); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/p"
}

func curl(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "curl"), append([]string{"-sS", "--max-time", "20"}, arguments...)...).Output()
	if err != nil {
		t.Fatalf("curl %v: %v", arguments, err)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	text := strings.Repeat("0123456789", 1000)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	f := tree(t, map[string]string{
		"a.txt": text, "b.txt": text, "b.txt.gz": packed.String(), "guide/index.html": "guide", "empty.txt": "",
	})
	at := serveFiles(t, f)

	if got := curl(t, "-r", "10-14", at+"/a.txt"); got != "01234" {
		t.Errorf("a range: %q", got)
	}
	if got := curl(t, "-r", "-3", at+"/a.txt"); got != "789" {
		t.Errorf("the last bytes: %q", got)
	}
	if got := curl(t, "-r", "0-0,9-9", at+"/a.txt"); !strings.Contains(got, "Content-Range: bytes 9-9/10000") {
		t.Errorf("two ranges: %q", got)
	}
	if got := curl(t, "-o", os.DevNull, "-w", "%{http_code}", "-r", "99999-", at+"/a.txt"); got != "416" {
		t.Errorf("a range behind the end: %s", got)
	}
	if got := curl(t, "-w", "%{http_code}", at+"/empty.txt"); got != "200" {
		t.Errorf("an empty file: %q", got)
	}

	// A download continues where it stopped.
	part := filepath.Join(t.TempDir(), "part")
	write(t, part, text[:4321])
	curl(t, "-C", "-", "-o", part, at+"/a.txt")
	if got, err := os.ReadFile(part); err != nil || string(got) != text {
		t.Errorf("resumed: %d bytes, %v", len(got), err)
	}

	if got := curl(t, "--compressed", at+"/b.txt"); got != text {
		t.Errorf("unpacked: %d bytes", len(got))
	}
	if got := curl(t, "-H", "Accept-Encoding: gzip", at+"/b.txt"); got != packed.String() {
		t.Errorf("packed: %d bytes, not %d", len(got), packed.Len())
	}
	if got := curl(t, at+"/b.txt"); got != text {
		t.Errorf("plain: %d bytes", len(got))
	}

	tags := filepath.Join(t.TempDir(), "etag")
	curl(t, "--etag-save", tags, "-o", os.DevNull, at+"/a.txt")
	if got := curl(t, "--etag-compare", tags, "-o", os.DevNull, "-w", "%{http_code}", at+"/a.txt"); got != "304" {
		t.Errorf("known already: %s", got)
	}
	if got := curl(t, "-L", "-w", " %{url_effective}", at+"/guide?q=1"); got != "guide "+at+"/guide/?q=1" {
		t.Errorf("a folder without its slash: %q", got)
	}
	if got := curl(t, "--path-as-is", "-o", os.DevNull, "-w", "%{http_code}", at+"/../../secret.txt"); got != "404" {
		t.Errorf("as it is: %s", got)
	}
}
