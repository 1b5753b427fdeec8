//go:build unix

package forward

import "syscall"

// What the system's errors are called here.
const (
	errConnRefused   = syscall.ECONNREFUSED
	errAddrNotAvail  = syscall.EADDRNOTAVAIL
	errAfNoSupport   = syscall.EAFNOSUPPORT
	errNetUnreach    = syscall.ENETUNREACH
	errConnReset     = syscall.ECONNRESET
	errWriteToClosed = syscall.EPIPE
)
