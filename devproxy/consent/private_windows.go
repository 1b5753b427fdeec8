package consent

import "io/fs"

// checkPrivate accepts every file: who may write it is in its security
// descriptor, which the user's profile folder keeps to the user.
func checkPrivate(fs.FileInfo) error { return nil }
