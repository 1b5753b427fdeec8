//go:build unix && !linux

package front

// deferAccept does nothing: the accept filters of BSD are not part of macOS.
func deferAccept(uintptr) {}
