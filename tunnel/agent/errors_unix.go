//go:build unix

package agent

import "syscall"

// errRefused is the error of a port on which nothing listens.
const errRefused = syscall.ECONNREFUSED
