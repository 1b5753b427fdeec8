package listen

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Windows is compiled, not tried: the codes are those Winsock documents.

func isTaken(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

// isForbidden also holds for ports that Windows reserves (netsh interface ipv4
// show excludedportrange protocol=tcp).
func isForbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }

func isAbsent(err error) bool {
	return errors.Is(err, windows.WSAEADDRNOTAVAIL) || errors.Is(err, windows.WSAEAFNOSUPPORT)
}
