//go:build unix

package runtimedir

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate makes sure that dir is this user's, and closes it to others.
func checkPrivate(dir string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("the runtime directory %s belongs to another user: remove it, or set XDG_RUNTIME_DIR to one of your folders", dir)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("the runtime directory %s is open to others: %w; close it with chmod 700 %[1]s", dir, err)
	}
	return nil
}
