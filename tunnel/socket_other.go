//go:build !linux && !darwin

package tunnel

import "net"

// tuneSocket does nothing: such options are not known here.
func tuneSocket(uintptr, string) {}

// lossOf returns nothing: losses show in the round trips alone where the kernel's
// counts are not read.
func lossOf(*net.TCPConn) lossCount { return lossCount{} }
