//go:build unix

package relay

import "syscall"

// descriptors returns how many files and sockets the process may have open. Go
// raises the soft limit to the hard one when a program starts.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return noDescriptorLimit
	}
	return int(min(limit.Cur, 1<<20))
}
