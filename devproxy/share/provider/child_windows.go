package provider

import (
	"os"
	"syscall"
)

const programSuffix = ".exe"

// environmentNames are the variables that a child gets.
const environmentNames = "PATH SystemRoot SystemDrive windir ComSpec USERPROFILE USERNAME APPDATA LOCALAPPDATA ProgramData TEMP TMP"

// isProgram reports whether path is a file.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// childAttributes keep Ctrl-C of the console from the process.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// endGroup ends the process at once: Windows has no signal that asks a program
// without a window to end.
func endGroup(leader *os.Process) error { return leader.Kill() }

// killGroup does nothing: the children of the process are not known.
func killGroup(*os.Process) {}
