//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// apart puts a server and its child processes into a separate group: Ctrl-C is
// devproxy's, and the servers outlive it by the time it needs to finish.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = dieWithUs()
	cmd.SysProcAttr.Setpgid = true
}

// onTerminal leaves devproxy in our group, which the terminal's keys reach.
func onTerminal(cmd *exec.Cmd) { cmd.SysProcAttr = dieWithUs() }

// interrupt asks a process, with its group if it leads one, to stop.
func interrupt(cmd *exec.Cmd) { signalGroup(cmd, syscall.SIGTERM) }

func kill(cmd *exec.Cmd) { signalGroup(cmd, syscall.SIGKILL) }

func signalGroup(cmd *exec.Cmd, signal syscall.Signal) {
	pid := cmd.Process.Pid
	if cmd.SysProcAttr.Setpgid {
		pid = -pid
	}
	// A process that has ended already needs no signal.
	_ = syscall.Kill(pid, signal)
}
