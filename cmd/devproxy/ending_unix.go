//go:build unix

package main

import (
	"errors"
	"os/exec"
	"syscall"
)

func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// apart starts a program in a process group of its own: Ctrl-C and the end of the
// terminal are not for it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
