package control

import "os"

// alive reports whether there is a process with this id. (Compiled, not
// tried, on Windows.)
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	process.Release()
	return true
}
