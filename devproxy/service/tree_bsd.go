//go:build unix && !linux

package service

import (
	"os"
	"syscall"
)

// guardProgram is the program that runs the guard: this one.
func guardProgram() (string, error) { return os.Executable() }

func becomeReaper() {}

func commandAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the process group to end.
func (t *tree) terminate() { _ = syscall.Kill(-t.leader, syscall.SIGTERM) }

// kill kills the process group. It returns false when nothing is left that it may kill.
func (t *tree) kill() bool { return syscall.Kill(-t.leader, syscall.SIGKILL) == nil }

// gone reports whether nothing of the group is left.
func (t *tree) gone() bool {
	select {
	case <-t.reaped:
		return syscall.Kill(-t.leader, 0) != nil
	default:
		return false
	}
}

// killRest ends the process group of a command whose guard was killed.
func killRest(_ string, leader int) {
	if leader != 0 {
		_ = syscall.Kill(-leader, syscall.SIGKILL)
	}
}

// treePorts finds none: the system has no file to read them from.
func treePorts(int) []uint16 { return nil }
