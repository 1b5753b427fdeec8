//go:build unix

package main

import (
	"os"
	"syscall"
)

// belongsToOther reports whether a file is another user's than this process's.
func belongsToOther(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) != os.Geteuid()
}
