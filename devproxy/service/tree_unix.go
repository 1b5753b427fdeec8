//go:build unix

package service

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// tree is a command and what it has started, below a guard.
type tree struct {
	leader int // the command, which leads a process group
	ended  chan Exit
	reaped chan struct{} // closed when this process has no children left
}

// startTree starts the command. Its goroutine must not end before the process: the
// kernel kills the command when the thread that has started it ends.
func startTree(cmd *exec.Cmd) (*tree, error) {
	runtime.LockOSThread()
	becomeReaper()
	cmd.SysProcAttr = commandAttributes()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &tree{leader: cmd.Process.Pid, ended: make(chan Exit, 1), reaped: make(chan struct{})}
	go t.reap()
	return t, nil
}

// reap waits for every child of this process, also for those that it has adopted.
func (t *tree) reap() {
	defer close(t.reaped)
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == t.leader:
			t.ended <- exitOf(status)
		}
	}
}

func exitOf(status syscall.WaitStatus) Exit {
	if status.Signaled() {
		return Exit{Signal: unix.SignalName(status.Signal())}
	}
	return Exit{Status: status.ExitStatus()}
}

// guardAttributes give a guard a session of its own. Ctrl-C and the end of the terminal
// reach devproxy alone, which then ends the service once.
func guardAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
