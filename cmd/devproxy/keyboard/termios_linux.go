package keyboard

import "golang.org/x/sys/unix"

const (
	getTermios, setTermios = unix.TCGETS, unix.TCSETS
	// noKey turns a key of the terminal off (POSIX: _POSIX_VDISABLE).
	noKey = 0
)
