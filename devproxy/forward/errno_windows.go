package forward

import (
	"errors"
	"syscall"
)

// Winsock's own numbers; package syscall has names of its own invention for
// them that no error carries. Not tried on a Windows machine.
const (
	wsaAfNoSupport  syscall.Errno = 10047
	wsaAddrNotAvail syscall.Errno = 10049
	wsaNetUnreach   syscall.Errno = 10051
	wsaConnAborted  syscall.Errno = 10053
	wsaConnReset    syscall.Errno = 10054
	wsaConnRefused  syscall.Errno = 10061
)

// isRefusal reports that nothing listens there; a missing unix socket is that.
func isRefusal(err error) bool {
	return errors.Is(err, wsaConnRefused) || isMissing(err)
}

func isMissing(err error) bool { return errors.Is(err, syscall.ERROR_FILE_NOT_FOUND) }

// isNoAddress reports an address that this machine has no way to: ::1 without
// IPv6.
func isNoAddress(err error) bool {
	return errors.Is(err, wsaAddrNotAvail) || errors.Is(err, wsaAfNoSupport) || errors.Is(err, wsaNetUnreach)
}

// isReset reports a connection that the other side cut.
func isReset(err error) bool {
	return errors.Is(err, wsaConnReset) || errors.Is(err, wsaConnAborted)
}
