//go:build !windows

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// singleKeys makes the terminal hand over each key at once and unechoed,
// while Ctrl-C still interrupts and output still works as before (x/term's raw
// mode would take both away). It returns what undoes it.
func singleKeys(terminal *os.File) (restore func(), err error) {
	fd := int(terminal.Fd())
	saved, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	changed := *saved
	changed.Lflag &^= unix.ICANON | unix.ECHO
	changed.Cc[unix.VMIN], changed.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, setTermios, &changed); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, setTermios, saved) }, nil
}
