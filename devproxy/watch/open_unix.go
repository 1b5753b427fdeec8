//go:build unix

package watch

import (
	"os"
	"syscall"
)

// open opens a file for reading. O_NONBLOCK: a pipe that took the file's place
// since it was looked at must not hold up the watcher until somebody writes.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
