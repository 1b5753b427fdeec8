//go:build unix && !linux

package hostsfile

import "os"

// copyAttributes always refuses, so that the file is written in place and keeps its
// attributes. Not tried on macOS.
func copyAttributes(_, _ *os.File) error { return errInPlace }
