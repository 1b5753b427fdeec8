//go:build unix

package localca

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// syncDir makes the renames in dir last through a power cut. Some file systems
// cannot sync a folder and say so; there is nothing more to do there.
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

// tightenKey takes a private key away from everybody but its owner. One that
// cannot be looked at is left to whoever reads it next.
func tightenKey(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(path, 0o600)
}

// tightenDir makes sure that nobody else can put another root into dir. A folder
// with other things in it is somebody's home or /tmp, named by mistake: its mode
// is not ours to change, so such a folder is refused when others can write to it.
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
			Fix: "others can write there: chmod 700 it, or name another folder in " + HomeVariable,
		}
	}
	return nil
}

// onlyOurs reports whether dir holds nothing but files of a CA.
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
