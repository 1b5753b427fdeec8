//go:build !linux

package trust

import "context"

// anchors is nil where the store is not a folder of files: older roots are left.
func anchors(string) []string { return nil }

// updateProgram is empty where the system's store is changed at once.
func updateProgram(Machine) (string, error) { return "", nil }

// update does nothing there.
func update(context.Context, Machine) error { return nil }

// withRemovals adds nothing here.
func withRemovals(_ Machine, held []HeldRoot) []HeldRoot { return held }
