//go:build !windows

package consent

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate refuses a file that another user owns or may write.
func checkPrivate(info fs.FileInfo) error {
	stat, known := info.Sys().(*syscall.Stat_t)
	switch {
	case known && stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return errors.New("it belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("others may write it (chmod 600 mends that)")
	}
	return nil
}
