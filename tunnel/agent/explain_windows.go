package agent

import "golang.org/x/sys/windows"

// errRefused is a port that nothing listens on: not the error that package
// syscall invents for it.
const errRefused = windows.WSAECONNREFUSED
