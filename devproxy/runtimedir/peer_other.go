//go:build !linux && !darwin

package runtimedir

import "net"

// OwnPeer is true: here only the folder's permissions tell users apart.
func OwnPeer(net.Conn) bool { return true }

// TrustedPeer is true, as OwnPeer is.
func TrustedPeer(net.Conn) bool { return true }
