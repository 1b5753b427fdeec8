package watch

import "golang.org/x/sys/unix"

// silent reports whether changes in dir can come about without an event here,
// which is so for all that is not on a disk of this machine. (Compiled, not
// tried, on macOS.)
func silent(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.MNT_LOCAL == 0
}

// limitFix is empty: descriptors are all that kqueue needs, and Go raises
// their limit by itself.
func limitFix(error) string { return "" }
