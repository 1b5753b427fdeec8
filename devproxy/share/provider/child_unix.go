//go:build unix

package provider

import (
	"errors"
	"os"
	"syscall"
)

const programSuffix = ""

// environmentNames are the variables that a child gets.
const environmentNames = "PATH HOME USER LOGNAME TMPDIR LANG TZ SSL_CERT_FILE SSL_CERT_DIR"

// isProgram reports whether path is an executable file.
func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// endGroup asks the process and everything it started to end.
func endGroup(leader *os.Process) error { return signalGroup(leader, syscall.SIGTERM) }

// killGroup ends the rest of the group of a process that has ended.
func killGroup(leader *os.Process) { _ = signalGroup(leader, syscall.SIGKILL) }

func signalGroup(leader *os.Process, signal syscall.Signal) error {
	err := syscall.Kill(-leader.Pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
