package control

import "os"

// This file is compiled, not tried, on Windows.

// alive reports whether a process with this id exists.
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	process.Release()
	return true
}
