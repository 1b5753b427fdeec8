//go:build unix

package worktree

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipes: no file of a repository is waited for.
func TestPipes(t *testing.T) {
	for _, file := range []string{"tree/.git", "main/.git/worktrees/tree/commondir", "main/.git/worktrees/tree/HEAD", "main/.git/worktrees/tree/rebase-merge/head-name"} {
		base := realDir(t)
		tree, head := fake(t, base)
		mustWrite(t, head, "4b825dc642cb6eb9a060e54bf8d69288fbee4904\n")
		path := filepath.Join(base, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(path) // it need not exist
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := name(tree); got != "" && got != "tree" {
			t.Errorf("%s is a pipe: %q", file, got)
		}
		if _, ok := read(path); ok {
			t.Errorf("%s was read", file)
		}
	}
	if _, ok := read("/dev/zero"); ok {
		t.Error("a device was read")
	}
}

// TestForeignHead: a head that another user can write names nothing.
func TestForeignHead(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "only root can give a file away")
	}
	t.Setenv("SUDO_UID", "")
	tree, head := fake(t, realDir(t))
	if err := os.Lchown(head, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	expect(t, tree, "")
}
