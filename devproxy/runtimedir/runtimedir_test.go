package runtimedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	xdg, tmp := shortDir(t), shortDir(t)
	long := filepath.Join(xdg, strings.Repeat("long", 25))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, goos string
		env        map[string]string
		want       string
	}{
		{"the session's", "linux", map[string]string{"XDG_RUNTIME_DIR": xdg, "TMPDIR": tmp}, xdg + "/devproxy"},
		{"no session", "linux", map[string]string{"TMPDIR": tmp}, tmp + "/devproxy-42"},
		{"nothing set", "linux", nil, "/tmp/devproxy-42"},
		{"relative", "linux", map[string]string{"XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp"}, "/tmp/devproxy-42"},
		{"of a session that has ended", "linux", map[string]string{"XDG_RUNTIME_DIR": xdg + "/gone"}, "/tmp/devproxy-42"},
		{"too long", "linux", map[string]string{"XDG_RUNTIME_DIR": long, "TMPDIR": tmp}, tmp + "/devproxy-42"},
		{"both too long", "darwin", map[string]string{"XDG_RUNTIME_DIR": long, "TMPDIR": long}, "/tmp/devproxy-42"},
		{"macOS", "darwin", map[string]string{"TMPDIR": tmp}, tmp + "/devproxy-42"},
		{"Windows", "windows", map[string]string{"LocalAppData": "/local"}, "/local/devproxy/run"},
	} {
		got, err := pathOf(c.goos, 42, func(name string) string { return c.env[name] })
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	if _, err := pathOf("windows", 42, func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "LocalAppData") {
		t.Errorf("Windows without LocalAppData: %v", err)
	}
	if _, err := Path(os.Getenv); err != nil {
		t.Error(err)
	}
}

// shortDir is a folder with a path short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
