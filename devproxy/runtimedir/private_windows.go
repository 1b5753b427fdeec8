package runtimedir

import "io/fs"

// This file is compiled, not tried, on Windows.

// checkPrivate trusts the user's own directories, which other accounts cannot write
// to on Windows.
func checkPrivate(string, fs.FileInfo) error { return nil }
