package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPathTooLongForASocketIsRefused(t *testing.T) {
	dir := filepath.Join(shortDir(t), strings.Repeat("long", 25))
	if _, err := Acquire(dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), "XDG_RUNTIME_DIR") {
		t.Errorf("Acquire: %v, want an error with the fix", err)
	}
}

func TestALinkIsNoRuntimeDirectory(t *testing.T) {
	dir := shortDir(t)
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	must(t, os.Mkdir(real, 0o700))
	must(t, os.Symlink(real, link))
	refusedDir(t, link, "is not a folder")
	if left, err := os.ReadDir(real); err != nil || len(left) != 0 {
		t.Errorf("the link was followed: %v, %v", left, err)
	}
}

// refusedDir expects every way in to refuse dir.
func refusedDir(t *testing.T, dir, why string) {
	t.Helper()
	folder := t.TempDir()
	_, acquire := Acquire(dir, folder)
	_, dialled := Dial(dir, folder)
	_, listed := List(dir)
	for what, err := range map[string]error{"Acquire": acquire, "Dial": dialled, "List": listed} {
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "XDG_RUNTIME_DIR") {
			t.Errorf("%s: %v, want %q and the fix", what, err, why)
		}
	}
}

func TestARuntimeDirectoryOpenToOthersIsClosed(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o755))
	in, err := Acquire(dir, t.TempDir())
	must(t, err)
	must(t, in.Close())
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the runtime directory has mode %v", info.Mode().Perm())
	}
}
