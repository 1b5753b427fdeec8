//go:build unix

package forward

import (
	"errors"
	"syscall"
)

// isRefusal reports that nothing listens there; a missing unix socket is that.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || isMissing(err)
}

func isMissing(err error) bool { return errors.Is(err, syscall.ENOENT) }

// isNoAddress reports an address that this machine has no way to: ::1 without
// IPv6.
func isNoAddress(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.ENETUNREACH)
}

// isReset reports a connection that the other side cut.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
