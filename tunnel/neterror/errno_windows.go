package neterror

import "golang.org/x/sys/windows"

// This file is compiled, not tried, on Windows: the codes are those Winsock documents.

// ErrRefused is the error of a port on which nothing listens.
const ErrRefused = windows.WSAECONNREFUSED

const (
	errTaken      = windows.WSAEADDRINUSE
	errForbidden  = windows.WSAEACCES
	errNoAddress  = windows.WSAEADDRNOTAVAIL
	errNoFamily   = windows.WSAEAFNOSUPPORT
	errNoProtocol = windows.WSAEPROTONOSUPPORT
	errNoRoute    = windows.WSAENETUNREACH
	errNoHost     = windows.WSAEHOSTUNREACH
	errReset      = windows.WSAECONNRESET
	errClosed     = windows.WSAECONNABORTED
)
