package worktree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realDir is a temporary folder by its real path.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// skip skips a test that this machine cannot run. CI has everything.
func skip(t *testing.T, why any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestPointer: a pointer is one line of a regular file of at most maxPointer
// bytes.
func TestPointer(t *testing.T) {
	dir := realDir(t)
	path := filepath.Join(dir, "pointer")
	long := strings.Repeat("x", maxPointer-len("gitdir: "))
	for text, want := range map[string]string{
		"gitdir: a": "a", "gitdir: a\n": "a", "gitdir: a\r\n": "a", "gitdir: " + long: long,
		"gitdir: " + long + "x": "", "gitdir: ": "", "gitdir: a\nb": "", "gitdir: a\x00": "", "a": "",
	} {
		mustWrite(t, path, text)
		if got, ok := pointer(path, "gitdir: "); got != want || ok != (want != "") {
			t.Errorf("%.20q: %.20q, %t", text, got, ok)
		}
	}
	if err := os.Symlink(path, path+"2"); err != nil {
		skip(t, err)
	}
	mustWrite(t, path, "gitdir: a")
	if _, ok := pointer(path+"2", "gitdir: "); ok {
		t.Error("a link is followed")
	}
	if _, ok := pointer(dir, ""); ok {
		t.Error("a folder is a pointer")
	}
}
