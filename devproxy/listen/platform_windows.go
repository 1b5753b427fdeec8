package listen

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

// This file is compiled, not tried, on Windows: the codes are those Winsock documents.

// permissionFix shows the ranges that Windows reserves: an ordinary user
// may bind any other port.
func permissionFix(uint16) string {
	return "netsh interface ipv4 show excludedportrange protocol=tcp"
}

func showFix(port uint16) string {
	return fmt.Sprintf("netstat -ano -p TCP | findstr LISTENING | findstr :%d", port)
}

func isTaken(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

// isForbidden also matches ports that Windows reserves.
func isForbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }

func isAbsent(err error) bool {
	return errors.Is(err, windows.WSAEADDRNOTAVAIL) || errors.Is(err, windows.WSAEAFNOSUPPORT)
}
