package main

import (
	"os/exec"
	"syscall"
)

// apart keeps Ctrl-C from the servers. It has not been tried on Windows.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// onTerminal leaves devproxy on our console.
func onTerminal(*exec.Cmd) {}

// interrupt ends the process: Windows has no gentle way to another group.
func interrupt(cmd *exec.Cmd) { kill(cmd) }

func kill(cmd *exec.Cmd) {
	// A process that has ended already needs no signal.
	_ = cmd.Process.Kill()
}
