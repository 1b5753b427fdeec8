package control

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// This file is compiled, not tried, on Windows.

// refused is the error of dialling a socket whose process is gone.
const refused = windows.WSAECONNREFUSED

// alive reports whether a process with this id exists.
func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	process.Release()
	return true
}

// checkPrivate trusts the user's own directories, which other accounts cannot write
// to on Windows.
func checkPrivate(string, fs.FileInfo) error { return nil }
