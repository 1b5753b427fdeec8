//go:build !linux

package container

import "net"

// listensAsRoot is false: engines of this system run in a virtual machine.
func listensAsRoot(net.Conn) bool { return false }
