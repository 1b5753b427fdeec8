//go:build !windows

package consent

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// isOwn reports whether a file is this user's, root's or, for root under sudo, that
// of the user who called sudo.
func isOwn(info fs.FileInfo) bool {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known || stat.Uid == 0 || int(stat.Uid) == os.Geteuid() {
		return true
	}
	caller, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	return os.Geteuid() == 0 && err == nil && caller == int(stat.Uid)
}

// checkPrivate refuses a file that another user owns or may write.
func checkPrivate(info fs.FileInfo) error {
	switch {
	case !isOwn(info):
		return errors.New("it belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("other users can write to it; fix it with chmod 600")
	}
	return nil
}
