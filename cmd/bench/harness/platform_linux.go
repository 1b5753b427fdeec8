package harness

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the process when ours is killed. The thread
// that starts it must last as long as we do; main sees to that.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
