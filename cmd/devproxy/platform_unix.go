//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// hangup is the signal that has a relay replaced by a new process.
const hangup = syscall.SIGHUP

// isHangup reports whether hangup means that the terminal was closed, and not
// that a relay should be replaced.
func isHangup(s *streams) bool { return s.InTTY && !term.IsTerminal(int(os.Stdin.Fd())) }

func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// detach starts a program in its own process group, which Ctrl-C and the end of the
// terminal do not reach.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// belongsToOther reports whether a file has another owner than this process.
func belongsToOther(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) != os.Geteuid()
}

// ownSession starts a program in a session of its own: without a terminal, whose end does
// not reach it.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// inherit passes a file to a program, and returns its number there.
func inherit(cmd *exec.Cmd, file *os.File) int {
	cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	return 2 + len(cmd.ExtraFiles)
}

// inherited returns the file that was passed to this process under a number. Programs
// that this process starts do not get it.
func inherited(number int) *os.File {
	unix.CloseOnExec(number)
	return os.NewFile(uintptr(number), "ready")
}

// leaveOutput replaces standard output and error of this process, so that a terminal or a
// pipe can end.
func leaveOutput() {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return // the process goes on, and readers of its output see no end
	}
	defer null.Close()
	for _, number := range []int{1, 2} {
		_ = unix.Dup2(int(null.Fd()), number) // as above
	}
}

// terminate asks a process to end.
func terminate(process *os.Process) { _ = process.Signal(syscall.SIGTERM) }
