package answer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// secret is in every file that must never be served.
const secret = "SECRET-8d1f"

// saved is when the files of tree were written.
func saved() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC) }

// tree writes files, by their slash-separated paths, into a new folder's
// subfolder "public" and a secret next to it.
func tree(t testing.TB, files map[string]string) *plan.Files {
	t.Helper()
	parent := t.TempDir()
	write(t, filepath.Join(parent, "secret.txt"), secret)
	dir := filepath.Join(parent, "public")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return &plan.Files{Dir: dir, Text: "public"}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, saved(), saved()); err != nil {
		t.Fatal(err)
	}
}

// get asks for rest as it would come below a route "/p". The URL is put
// together by hand, since url.Parse refuses some of what a test sends.
func get(f *plan.Files, method, rest, query string, header http.Header) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequest(method, "/", nil)
	r.URL = &url.URL{Path: "/p" + rest, RawPath: "/p" + rest, RawQuery: query}
	if decoded, err := url.PathUnescape("/p" + rest); err == nil {
		r.URL.Path = decoded
	}
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	return w, Files(w, r, f, rest)
}

// status is what the one error handler makes of err.
func status(w *httptest.ResponseRecorder, err error) int {
	var missing *NotFoundError
	var method *MethodError
	switch {
	case err == nil:
		return w.Code
	case errors.As(err, &missing):
		return http.StatusNotFound
	case errors.As(err, &method):
		return http.StatusMethodNotAllowed
	}
	return http.StatusInternalServerError
}

// tool is the path of a program that a test needs. CI has it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed: make deps", name)
		}
		t.Skipf("%s is not installed: make deps", name)
	}
	return path
}

// unixClient asks the server on a socket.
func unixClient(t *testing.T, socket string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
