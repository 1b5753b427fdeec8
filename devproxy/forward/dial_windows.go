package forward

import "golang.org/x/sys/windows"

// errRefused is what Winsock calls a refused connection: syscall's own
// ECONNREFUSED is an invented number there.
const errRefused = windows.WSAECONNREFUSED
