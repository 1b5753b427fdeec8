//go:build !windows

package hcl

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// checkOwner refuses a Proxyfile of another user, like git's safe.directory:
// the owner controls everything that is sent and served in this user's name. It
// checks the opened file, the link that path may be, and the folder, whose
// owner can replace both. This user and root are allowed, and for root under
// sudo the user who called it.
//
// Permissions are not checked: file systems of other systems show every file as
// writable by everyone.
func checkOwner(path string, file *os.File) error {
	for _, part := range []struct {
		path string
		stat func(path string) (fs.FileInfo, error)
	}{
		{path, func(string) (fs.FileInfo, error) { return file.Stat() }},
		{path, os.Lstat},
		{filepath.Dir(path), os.Stat},
	} {
		info, err := part.stat(part.path)
		if err != nil {
			return newFileError(path, err)
		}
		if !IsOwn(info) {
			return newFileError(part.path, ErrForeign)
		}
	}
	return nil
}

// IsOwn reports whether a file is this user's, root's or, for root under sudo, that of the
// user who called sudo.
func IsOwn(info fs.FileInfo) bool {
	stat, known := info.Sys().(*syscall.Stat_t)
	return !known || mayOwn(int(stat.Uid), os.Geteuid(), os.Getenv("SUDO_UID"))
}

// mayOwn reports whether user accepts a file of owner. sudo is $SUDO_UID, the user
// who became root by sudo. It counts for root only.
func mayOwn(owner, user int, sudo string) bool {
	if owner == 0 || owner == user {
		return true
	}
	caller, err := strconv.Atoi(sudo)
	return user == 0 && err == nil && caller == owner
}
