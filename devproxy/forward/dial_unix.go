//go:build !windows

package forward

import "syscall"

// errRefused is what the system calls a refused connection.
const errRefused = syscall.ECONNREFUSED
