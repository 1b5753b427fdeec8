package agent

import "golang.org/x/sys/windows"

// errRefused is the error of a port on which nothing listens. Package syscall has a
// different one, which Windows never returns.
const errRefused = windows.WSAECONNREFUSED
