//go:build !linux

package service

// ephemeralPorts is none here: the range of these systems begins above that of
// ChoosePort, unless it was changed.
func ephemeralPorts() (low, high uint16) { return 0, 0 }
