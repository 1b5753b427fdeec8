package hcl

import "os"

// checkOwner accepts every file. The owner of a file is in its security
// descriptor here, and files that an administrator makes belong to a group; what
// is right could not be tried where this was written.
func checkOwner(string, *os.File) error { return nil }
