//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

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
