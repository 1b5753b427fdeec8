//go:build unix

package neterror

import "syscall"

// ErrRefused is the error of a port on which nothing listens.
const ErrRefused = syscall.ECONNREFUSED

const (
	errTaken      = syscall.EADDRINUSE
	errForbidden  = syscall.EACCES
	errNoAddress  = syscall.EADDRNOTAVAIL
	errNoFamily   = syscall.EAFNOSUPPORT
	errNoProtocol = syscall.EPROTONOSUPPORT
	errNoRoute    = syscall.ENETUNREACH
	errNoHost     = syscall.EHOSTUNREACH
	errReset      = syscall.ECONNRESET
	errClosed     = syscall.EPIPE
)
