package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// hangup never comes: Windows cannot replace a relay.
var hangup os.Signal = noSignal{}

type noSignal struct{}

func (noSignal) String() string { return "none" }
func (noSignal) Signal()        {}

func isHangup(*streams) bool { return false }

func isClosedPipe(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA)
}

// detach starts a program in its own process group, which Ctrl-C does not reach.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// belongsToOther is false: sudo of Windows 11 keeps the user and changes only the
// rights. This was not tried there.
func belongsToOther(string) bool { return false }

// What follows is compiled, not tried, on Windows.

// ownSession starts a program without a console, whose end does not reach it.
func ownSession(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}

// inherit passes a file to a program, and returns its number there.
func inherit(cmd *exec.Cmd, file *os.File) int {
	handle := file.Fd()
	_ = windows.SetHandleInformation(windows.Handle(handle), windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT)
	cmd.SysProcAttr.AdditionalInheritedHandles = append(cmd.SysProcAttr.AdditionalInheritedHandles, syscall.Handle(handle))
	return int(handle)
}

// inherited returns the file that was passed to this process under a number.
func inherited(number int) *os.File { return os.NewFile(uintptr(number), "ready") }

// leaveOutput closes standard output and error of this process, so that a pipe can end.
func leaveOutput() {
	os.Stdout.Close()
	os.Stderr.Close()
}

// terminate ends a process: one without a console gets no signals.
func terminate(process *os.Process) { _ = process.Kill() }
