package service

import (
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// tree is a command and what it has started, below a guard: the processes of the
// guard's job. It was not tried on Windows.
type tree struct {
	leader int
	cmd    *exec.Cmd
	ended  chan Exit
	reaped chan struct{} // closed when the command has ended
}

// startTree puts this process into a job that the kernel ends with it, and starts the
// command, which is in the job from its first instruction.
func startTree(cmd *exec.Cmd) (*tree, error) {
	if err := enterJob(); err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &tree{leader: cmd.Process.Pid, cmd: cmd, ended: make(chan Exit, 1), reaped: make(chan struct{})}
	go t.wait()
	return t, nil
}

// enterJob leaves the only handle of the job open: the kernel kills all processes of
// the job when this process ends.
func enterJob() error {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return os.NewSyscallError("CreateJobObject", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return os.NewSyscallError("SetInformationJobObject", err)
	}
	return os.NewSyscallError("AssignProcessToJobObject", windows.AssignProcessToJobObject(job, windows.CurrentProcess()))
}

func (t *tree) wait() {
	defer close(t.reaped)
	_ = t.cmd.Wait() // ProcessState says how it ended
	t.ended <- Exit{Status: t.cmd.ProcessState.ExitCode()}
}

// terminate sends Ctrl-Break to the command. One without a console gets nothing, and is
// killed after its time.
func (t *tree) terminate() {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(t.leader))
}

// kill ends the command. The kernel ends the rest of the job when this process ends.
func (t *tree) kill() bool { return t.cmd.Process.Kill() == nil }

// gone reports whether the command has ended.
func (t *tree) gone() bool {
	select {
	case <-t.reaped:
		return true
	default:
		return false
	}
}

// guardProgram is the program that runs the guard: this one.
func guardProgram() (string, error) { return os.Executable() }

// guardAttributes keep Ctrl-C of the console from the guard.
func guardAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// killRest does nothing: the kernel has ended the job with the guard.
func killRest(string, int) {}

// treePorts finds none: it would take another program.
func treePorts(int) []uint16 { return nil }
