package service

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devproxy/devproxy/devproxy/listen"
)

// guardName is the name of a guard's process. It does not contain "devproxy", so that
// `pkill -9 devproxy` and `killall -9 devproxy` spare guards, which then end their
// services.
const guardName = "service-guard"

// guardProgram is the program that runs the guard: this one, even when its file was
// replaced.
func guardProgram() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

// becomeReaper makes this process the parent of every descendant that has lost its own.
func becomeReaper() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // Linux 3.4
	_ = os.WriteFile("/proc/self/comm", []byte(guardName), 0)
}

func commandAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// terminate asks every descendant to end, each once.
func (t *tree) terminate() {
	all := descendants(os.Getpid())
	inGroup := func(p process) bool { return p.group == t.leader }
	if slices.ContainsFunc(all, inGroup) {
		_ = syscall.Kill(-t.leader, syscall.SIGTERM)
	}
	for _, p := range all {
		if !inGroup(p) {
			_ = p.signal(syscall.SIGTERM)
		}
	}
}

// kill kills every descendant. It returns false when only those are left that belong to
// another user.
func (t *tree) kill() bool {
	all := descendants(os.Getpid())
	denied := 0
	for _, p := range all {
		if errors.Is(p.signal(syscall.SIGKILL), os.ErrPermission) {
			denied++
		}
	}
	return denied == 0 || denied < len(all)
}

// gone reports whether no descendant is left: each is a child of this process once its
// parent has ended.
func (t *tree) gone() bool {
	select {
	case <-t.reaped:
		return true
	default:
		return false
	}
}

// treePorts are the TCP ports that descendants of a process listen on, ascending.
func treePorts(root int) []uint16 {
	var pids []int
	for _, p := range descendants(root) {
		pids = append(pids, p.pid)
	}
	return listen.PortsOf(pids)
}

const (
	// restPatience bounds how long killRest looks for processes.
	restPatience = 2 * time.Second
	restEvery    = 10 * time.Millisecond
)

// killRest ends what is left of a command whose guard was killed: every process with
// mark in its environment, and the process group of the command. Only a process that
// has left that group and has removed its environment remains.
func killRest(mark string, leader int) {
	for end := time.Now().Add(restPatience); time.Now().Before(end); time.Sleep(restEvery) {
		left := false
		for _, p := range processes() {
			if p.group == leader && leader != 0 || p.hasVariable(mark) {
				left = true
				_ = p.signal(syscall.SIGKILL) // it may have just ended
			}
		}
		if !left {
			return
		}
	}
}

// process is a process that had not ended when it was read. Its pid and its start
// identify it.
type process struct {
	pid, parent, group int
	start              string // in clock ticks since boot
}

// processes are all processes that have not ended.
func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				all = append(all, p)
			}
		}
	}
	return all
}

// readProcess reads proc(5), /proc/PID/stat: after the name in brackets come the state,
// the parent, the process group and, as the 20th, the start.
func readProcess(pid int) (process, bool) {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if err != nil || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return process{}, false
	}
	parent, _ := strconv.Atoi(fields[1]) // the kernel's own
	group, _ := strconv.Atoi(fields[2])
	return process{pid: pid, parent: parent, group: group, start: fields[19]}, true
}

// descendants are the processes below root, which is not among them.
func descendants(root int) []process {
	children := map[int][]process{}
	for _, p := range processes() {
		children[p.parent] = append(children[p.parent], p)
	}
	var below []process
	for next := children[root]; len(next) > 0; next = next[1:] {
		below = append(below, next[0])
		next = append(next, children[next[0].pid]...)
	}
	return below
}

// signal sends a signal to the process, and never to another one with the same pid.
func (p process) signal(sig syscall.Signal) error {
	held, err := os.FindProcess(p.pid) // by a pidfd, where the kernel has them (5.4)
	if err != nil {
		return err
	}
	defer func() { _ = held.Release() }()
	if now, ok := readProcess(p.pid); !ok || now.start != p.start {
		return os.ErrProcessDone
	}
	return held.Signal(sig)
}

// hasVariable reports whether the process was started with a variable, NAME=value.
func (p process) hasVariable(variable string) bool {
	environ, err := os.ReadFile(procFile(p.pid, "environ"))
	return err == nil && slices.Contains(strings.Split(string(environ), "\x00"), variable)
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }
