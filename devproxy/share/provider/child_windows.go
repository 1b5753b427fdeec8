package provider

import (
	"os"
	"syscall"
)

// childAttributes keep Ctrl-C of the console from the process.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// endGroup ends the process at once: Windows has no signal that asks a program
// without a window to end.
func endGroup(leader *os.Process) error { return leader.Kill() }

// killGroup does nothing: the process had no children that are known.
func killGroup(*os.Process) {}
