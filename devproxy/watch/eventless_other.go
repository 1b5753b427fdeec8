//go:build !linux

package watch

// eventless says no: FSEvents, kqueue and ReadDirectoryChangesW report on
// every file system that their systems mount for development, as far as known.
func eventless(string) bool { return false }
