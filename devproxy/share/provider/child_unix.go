//go:build unix

package provider

import (
	"errors"
	"os"
	"syscall"
)

// endGroup asks the process and what it started to end.
func endGroup(leader *os.Process) error { return signalGroup(leader, syscall.SIGTERM) }

// killGroup ends what is left of the group of a process that has ended.
func killGroup(leader *os.Process) { _ = signalGroup(leader, syscall.SIGKILL) }

func signalGroup(leader *os.Process, signal syscall.Signal) error {
	err := syscall.Kill(-leader.Pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
