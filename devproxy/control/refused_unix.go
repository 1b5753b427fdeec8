//go:build unix

package control

import "syscall"

// refused is the error of dialling a socket whose process is gone.
const refused = syscall.ECONNREFUSED
