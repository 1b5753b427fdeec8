package hcl

import (
	"io/fs"
	"os"
)

// checkOwner accepts every file. On Windows the owner is part of the security
// descriptor, and files created by an administrator belong to a group. No rule for
// that has been tested yet.
func checkOwner(string, *os.File) error { return nil }

// IsOwn accepts every file, as checkOwner does.
func IsOwn(fs.FileInfo) bool { return true }
