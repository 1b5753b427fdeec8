//go:build !linux

package trust

// withRemovals adds nothing here.
func withRemovals(_ Machine, held []HeldRoot) []HeldRoot { return held }
