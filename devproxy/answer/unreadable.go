package answer

import (
	"errors"
	"io/fs"
	"syscall"
)

// unreadable reports an error that says nothing about whether the file is
// there: no permission, no descriptor left, a broken disk.
func unreadable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EMFILE) ||
		errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO)
}
