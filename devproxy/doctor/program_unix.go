//go:build unix

package doctor

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the end of cmd's context kill the program's process group.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
