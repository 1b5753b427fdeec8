//go:build unix

package agent

import "syscall"

// errRefused is a port that nothing listens on.
const errRefused = syscall.ECONNREFUSED
