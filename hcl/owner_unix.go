//go:build !windows

package hcl

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// checkOwner refuses a Proxyfile of another user, as git's safe.directory does:
// whoever can write it decides what is sent and served in this user's name. It
// is the owner of the opened file that counts, of the link that path may be, and
// of the folder, whose owner can replace both. The owners that are allowed are
// this user, root, and for root under sudo whoever called it.
//
// Modes do not count: file systems of other systems show every file as writable
// to all.
func checkOwner(path string, file *os.File) error {
	opened, err := file.Stat()
	if err != nil {
		return newFileError(path, err)
	}
	link, err := os.Lstat(path)
	if err != nil {
		return newFileError(path, err)
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return newFileError(path, err)
	}
	for _, part := range []struct {
		path string
		info fs.FileInfo
	}{{path, opened}, {path, link}, {filepath.Dir(path), folder}} {
		if owner, known := ownerOf(part.info); known && !mayOwn(owner, os.Geteuid(), os.Getenv("SUDO_UID")) {
			return newFileError(part.path, ErrForeign)
		}
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return int(stat.Uid), true
}

// mayOwn reports whether a file of owner may decide what the user does. sudo is
// the user who became root by sudo, as sudo says it; it counts for root only.
func mayOwn(owner, user int, sudo string) bool {
	if owner == 0 || owner == user {
		return true
	}
	caller, err := strconv.Atoi(sudo)
	return user == 0 && err == nil && caller == owner
}
