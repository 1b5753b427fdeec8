package provider

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// findProgram returns the absolute path of a program on the PATH that getenv reads, or
// "". Relative entries of PATH are skipped: the folder that devproxy runs in
// belongs to a project, and a project does not choose the programs that run.
func findProgram(getenv func(string) string, name string) string {
	for _, folder := range filepath.SplitList(getenv("PATH")) {
		if path := filepath.Join(folder, name+programSuffix); filepath.IsAbs(folder) && isProgram(path) {
			return path
		}
	}
	return ""
}

// childEnvironment returns the environment of a program that is not the user's to
// configure: where things are on this machine, and the roots it trusts.
func childEnvironment(getenv func(string) string) []string {
	var env []string
	for name := range strings.FieldsSeq(environmentNames) {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// childGrace is how long a program that is asked to end may take. Then it is
// killed.
const childGrace = 3 * time.Second

// child is a program that this process has started and ends. It leads a process
// group, so that a signal of the terminal does not reach it, and so that everything
// it starts ends with it.
type child struct {
	cmd *exec.Cmd
	// ended is closed when the process has ended and its output is read.
	ended chan struct{}
}

// startChild starts cmd, which exec.CommandContext has made: the process ends with
// the context. When it fails, nothing is left.
func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = childAttributes()
	cmd.Cancel = func() error { return endGroup(cmd.Process) }
	cmd.WaitDelay = childGrace
	c := &child{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go c.run(started)
	if err := <-started; err != nil {
		<-c.ended
		return nil, err
	}
	return c, nil
}

// run starts the process and waits for it on one thread: on Linux the process is
// killed when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG), which
// must not happen before this process ends.
func (c *child) run(started chan<- error) {
	defer close(c.ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = c.cmd.Wait()         // ProcessState says how it ended
	killGroup(c.cmd.Process) // the processes that it started and left behind
}
