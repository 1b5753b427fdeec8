//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package keyboard

import "golang.org/x/sys/unix"

const (
	getTermios, setTermios = unix.TIOCGETA, unix.TIOCSETA
	// noKey turns a key of the terminal off (POSIX: _POSIX_VDISABLE).
	noKey = 0xFF
)
