//go:build !linux && !darwin

package tunnel

import "net"

// tuneSocket asks for nothing where there is no such option.
func tuneSocket(uintptr, string) {}

// lossOf: the round trips tell of loss where the kernel's counts are not read.
func lossOf(*net.TCPConn) (lossCount, bool) { return lossCount{}, false }
