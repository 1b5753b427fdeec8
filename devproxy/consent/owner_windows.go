package consent

import "io/fs"

// isOwn accepts every file, as checkPrivate does.
func isOwn(fs.FileInfo) bool { return true }

// checkPrivate accepts every file: who may write it is in its security
// descriptor, which the user's profile folder keeps to the user.
func checkPrivate(fs.FileInfo) error { return nil }
