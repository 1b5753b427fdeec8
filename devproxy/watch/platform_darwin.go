package watch

import "golang.org/x/sys/unix"

// silent reports whether changes in dir can happen without an event here, as on
// everything but a disk of this machine. It is compiled, not tried, on macOS.
func silent(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.MNT_LOCAL == 0
}

// limitFix is empty: kqueue needs only descriptors, and Go raises their limit
// automatically.
func limitFix(error) string { return "" }
