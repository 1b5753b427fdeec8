//go:build unix

package localca

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// syncDir makes the renames in dir survive a power cut. Some file systems return an error
// because they cannot sync a folder; nothing more can be done there.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// tightenKey makes a private key readable by its owner only. If it cannot be examined, the
// next read returns the error.
func tightenKey(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(path, 0o600)
}

// tightenDir makes sure that no other user can put another root into dir. A folder with
// other files in it is a home or /tmp, set by mistake. Its mode is not changed; it is
// refused if others can write to it.
func tightenDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if onlyOurs(dir) && os.Chmod(dir, 0o700) == nil {
		return nil
	}
	if info.Mode().Perm()&0o022 != 0 {
		return &StoreError{
			Op: "keep a private key in", Path: dir, Err: fs.ErrPermission,
			Fix: "others can write there: chmod 700 it, or set another folder in " + HomeVariable,
		}
	}
	return nil
}

// onlyOurs reports whether dir has only files of a CA.
func onlyOurs(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !strings.HasPrefix(strings.TrimPrefix(e.Name(), "."), filePrefix) {
			return false
		}
	}
	return true
}
