package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// chain is a command as package managers start one: sh -> sh -> sleep, with a process
// below that has left the session, and one that has lost its parent and its session.
// Each writes its pid to a file in the working directory.
const chain = `
sh -c 'echo $$ >sh; sleep 1000 & echo $! >leaf; wait' &
setsid sh -c 'echo $$ >session; sleep 1000 & wait' &
(setsid sh -c 'echo $$ >orphan; exec sleep 1000' &)
for file in sh leaf session orphan; do
	until test -s "$file"; do sleep 0.01; done
done
echo started
wait
`

// chained is a service that runs chain in a folder of its own. Everything it starts has
// a mark in its environment, by which the test finds what is left at its end.
type chained struct {
	t    *testing.T
	dir  string
	mark string
	spec Spec
}

func newChained(t *testing.T, script string) *chained {
	t.Helper()
	c := &chained{t: t, dir: t.TempDir(), mark: "SERVICE_TEST=" + rand.Text()}
	c.spec = Spec{
		Name: "web", Args: []string{"sh", "-c", script}, Dir: c.dir, Env: []string{"PATH=" + os.Getenv("PATH"), c.mark},
		Ready: Ready{Log: "started"}, Restart: Never,
	}
	t.Cleanup(c.untilGone)
	return c
}

// left are the processes of the service that run.
func (c *chained) left() []process {
	return slices.DeleteFunc(processes(), func(p process) bool { return !p.hasVariable(c.mark) })
}

// untilGone waits until none of them runs.
func (c *chained) untilGone() {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		left := c.left()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			for _, p := range left {
				command, _ := os.ReadFile(procFile(p.pid, "cmdline"))
				c.t.Errorf("left: %d %q", p.pid, bytes.ReplaceAll(command, []byte{0}, []byte(" ")))
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
			return
		}
	}
}

// pid is what a process of the chain wrote to a file.
func (c *chained) pid(file string) int {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

// kill sends SIGKILL to a process of the chain, or to its guard.
func (c *chained) kill(which string, command int) {
	c.t.Helper()
	pid := command
	switch which {
	case "command":
	case "guard":
		p, ok := readProcess(command)
		if !ok {
			c.t.Fatal("the command does not run")
		}
		pid = p.parent
	default:
		pid = c.pid(which)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
}

// TestKillEachLink kills one process of a service: nothing is left of the rest once the
// service counts as ended.
func TestKillEachLink(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"guard", "command"} {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			c := newChained(t, chain)
			r, j := newRunnerFor(t)
			r.Apply([]Spec{c.spec})
			c.kill(link, j.until("ready", in("web", Running)).PID)
			s := j.until("failed", in("web", Failed))
			if left := c.left(); len(left) > 0 {
				t.Errorf("left when the service has failed: %v", left)
			}
			want := Exit{Signal: "SIGKILL"}
			if link == "guard" {
				want = Exit{Error: "its guard was killed"}
			}
			if s.Exit != want || !slices.Contains(s.Output, "started") {
				t.Errorf("%+v", s)
			}
		})
	}
	// The command waits for these, and goes on with what is left.
	for _, link := range []string{"sh", "leaf", "session", "orphan"} {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			c := newChained(t, chain)
			r, j := newRunnerFor(t)
			r.Apply([]Spec{c.spec})
			c.kill(link, j.until("ready", in("web", Running)).PID)
			r.Apply(nil)
			j.until("stopped", in("web", Stopped))
			if left := c.left(); len(left) > 0 {
				t.Errorf("left when the service has stopped: %v", left)
			}
		})
	}
}

// TestCommandEndsFirst is a command that leaves processes behind, as a daemon does.
func TestCommandEndsFirst(t *testing.T) {
	t.Parallel()
	c := newChained(t, strings.TrimSuffix(chain, "wait\n"))
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	s := j.until("stopped", in("web", Stopped))
	if left := c.left(); len(left) > 0 || !s.Exit.OK() {
		t.Errorf("%+v, left: %v", s, left)
	}
}

// runner is another process that runs services.
type runner struct {
	*exec.Cmd
	states *bufio.Scanner
}

func startRunner(t *testing.T, specs ...Spec) *runner {
	t.Helper()
	text, err := json.Marshal(specs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "runner")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return &runner{cmd, bufio.NewScanner(out)}
}

// until reads states up to one of a phase.
func (r *runner) until(t *testing.T, phase Phase) State {
	t.Helper()
	for r.states.Scan() {
		var s State
		if err := json.Unmarshal(r.states.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Phase == phase {
			return s
		}
	}
	t.Fatalf("never %s", phase)
	return State{}
}

// TestKillRunner kills the process that runs the service, also at the moment when the
// command starts: its guard ends it.
func TestKillRunner(t *testing.T) {
	t.Parallel()
	for _, phase := range []Phase{Starting, Running} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			c := newChained(t, chain)
			r := startRunner(t, c.spec)
			r.until(t, phase)
			if err := r.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			c.untilGone()
		})
	}
}

// TestGuardName checks that `pkill -9 devproxy` and `killall -9 devproxy`, which look
// for a name or a command line, spare the guard.
func TestGuardName(t *testing.T) {
	t.Parallel()
	c := newChained(t, chain)
	r := startRunner(t, c.spec)
	s := r.until(t, Running)
	command, _ := readProcess(s.PID)
	name, err := os.ReadFile(procFile(command.parent, "comm"))
	if err != nil || string(name) != guardName+"\n" {
		t.Errorf("the guard is called %q, %v", name, err)
	}
	line, err := os.ReadFile(procFile(command.parent, "cmdline"))
	if err != nil || string(line) != "service-guard\x00guard\x00web\x00" {
		t.Errorf("the command line of the guard is %q, %v", line, err)
	}
}

// TestKillRunnerAndGuard kills both at once: the kernel kills the command. Its
// descendants would remain.
func TestKillRunnerAndGuard(t *testing.T) {
	t.Parallel()
	c := newChained(t, "echo started; exec sleep 1000")
	r := startRunner(t, c.spec)
	s := r.until(t, Running)
	if err := r.Process.Signal(syscall.SIGSTOP); err != nil { // it cannot notice
		t.Fatal(err)
	}
	c.kill("guard", s.PID)
	if err := r.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.untilGone()
}

// TestInterrupt sends what Ctrl-C and a closed terminal send to the group of the runner.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	c := newChained(t, `trap 'echo interrupted >signals' INT HUP; echo started; while :; do sleep 0.01; done`)
	r := startRunner(t, c.spec)
	s := r.until(t, Running)
	group, err := syscall.Getpgid(r.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	command, _ := readProcess(s.PID)
	guard, _ := readProcess(command.parent)
	session := func(pid int) string {
		stat, _ := os.ReadFile(procFile(pid, "stat"))
		return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[3]
	}
	if command.group == group || guard.group == group || session(guard.pid) != strconv.Itoa(guard.pid) {
		t.Errorf("the service is in the group or the session of the terminal: %+v %+v", command, guard)
	}
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.untilGone()
	if text, err := os.ReadFile(filepath.Join(c.dir, "signals")); err == nil {
		t.Errorf("the command got another signal: %s", text)
	}
}

// TestIgnoresTerm stops a service that ignores SIGTERM, in every process of it.
func TestIgnoresTerm(t *testing.T) {
	t.Parallel()
	c := newChained(t, `trap '' TERM
(setsid sh -c 'echo $$ >orphan; while :; do sleep 0.01; done' &)
until test -s orphan; do sleep 0.01; done
echo started; while :; do sleep 0.01; done`)
	c.spec.Stop = 100 * time.Millisecond
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	j.until("ready", in("web", Running))
	start := time.Now()
	r.Apply(nil)
	s := j.until("stopped", in("web", Stopped))
	if left := c.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if took := time.Since(start); took < c.spec.Stop {
		t.Errorf("stopped after %v: %+v", took, s)
	}
}

// TestEndsInOrder stops a service that needs a while after SIGTERM, which it gets once.
func TestEndsInOrder(t *testing.T) {
	t.Parallel()
	c := newChained(t, `trap 'echo term >>signals; sleep 0.2; echo bye; exit 0' TERM; echo started; while :; do sleep 0.01; done`)
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	j.until("ready", in("web", Running))
	r.Close(context.Background())
	text, err := os.ReadFile(filepath.Join(c.dir, "signals"))
	if err != nil || string(text) != "term\n" || !slices.Contains(j.output(), "web: bye") {
		t.Errorf("%q %v %q", text, err, j.output())
	}
}

// TestHurry ends the wait for a service that ignores SIGTERM.
func TestHurry(t *testing.T) {
	t.Parallel()
	c := newChained(t, `trap '' TERM; echo started; while :; do sleep 0.01; done`)
	c.spec.Stop = time.Hour
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	j.until("ready", in("web", Running))
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan struct{})
	go func() { defer close(closed); r.Close(ctx) }()
	j.until("ending", in("web", Ending))
	cancel()
	<-closed
	if left := c.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestGuardHangs stops a service whose guard does not react.
func TestGuardHangs(t *testing.T) {
	t.Parallel()
	c := newChained(t, chain)
	c.spec.Stop = time.Millisecond
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	command, _ := readProcess(j.until("ready", in("web", Running)).PID)
	if err := syscall.Kill(command.parent, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.Apply(nil)
	j.until("stopped", in("web", Stopped))
	if left := c.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestEnvironment is the environment and the folder of a command, and its input.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	c := newChained(t, `pwd; echo "$GREETING"; cat; echo started; sleep 1000`)
	c.spec.Env = append(c.spec.Env, "GREETING=hello")
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	j.until("ready", in("web", Running))
	folder, err := filepath.EvalSymlinks(c.dir)
	if want := []string{"web: " + folder, "web: hello", "web: started"}; err != nil || !slices.Equal(j.output(), want) {
		t.Errorf("%q, want %q, %v", j.output(), want, err)
	}
}

// TestStranger is another user who listens on the port of a service: the service is
// not ready, and the other user gets no request.
func TestStranger(t *testing.T) {
	t.Parallel()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("needs root to run a process of another user")
	default:
		t.Skip("needs root to run a process of another user")
	}
	const nobody = 65534
	spec := server(t, "web")
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "stranger")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "stranger")
	// The lock keeps the descriptor out of processes that start meanwhile, with which the
	// program could not be run (ETXTBSY).
	syscall.ForkLock.RLock()
	err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, program, 0o755))
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	a := awaiting{spec: spec, ports: func() []uint16 { return nil }, client: newClient()}
	if _, ready := a.check(t.Context()); ready {
		t.Fatal("ready before anything listens")
	}
	cmd := exec.Command(path, "serve", strconv.Itoa(int(spec.Port)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening") {
		t.Fatal(line, err)
	}
	elsewhere := server(t, "elsewhere")
	for name, a := range map[string]awaiting{
		"on its port":                  a,
		"after a line of output":       {spec: Spec{Port: spec.Port, Ready: Ready{Log: "ready"}}, ports: a.ports, client: a.client},
		"on another port":              {spec: elsewhere, ports: func() []uint16 { return []uint16{spec.Port} }, client: a.client, elsewhere: spec.Port},
		"on another port after a line": {spec: Spec{Port: elsewhere.Port, Ready: Ready{Log: "ready"}}, ports: func() []uint16 { return []uint16{spec.Port} }, client: a.client},
	} {
		if port, ready := a.check(t.Context()); ready && port == spec.Port {
			t.Errorf("ready %s, %d, where another user listens", name, port)
		}
	}
}

// TestFlood reads all of a service's output, however fast it comes.
func TestFlood(t *testing.T) {
	t.Parallel()
	const lines = 200_000
	c := newChained(t, fmt.Sprintf("seq %d; echo started; sleep 1000", lines))
	r, j := newRunnerFor(t)
	r.Apply([]Spec{c.spec})
	j.until("ready", in("web", Running))
	got := j.output()
	if len(got) != lines+1 || got[lines-1] != fmt.Sprintf("web: %d", lines) {
		t.Errorf("%d lines", len(got))
	}
	if tail := tailOf(r, "web"); len(tail) != maxTail || tail[maxTail-1] != "started" {
		t.Errorf("%q", tail)
	}
}

// TestStorm changes, restarts and kills three services in any order. At the end one
// of each runs, and after Close nothing.
func TestStorm(t *testing.T) {
	t.Parallel()
	c := newChained(t, "sleep 1000 & wait")
	r, j := newRunnerFor(t)
	specs := func(round int) []Spec {
		var all []Spec
		for _, name := range []string{"a", "b", "c"} {
			spec := c.spec
			spec.Name, spec.Ready, spec.Restart = name, Ready{}, OnFailure
			spec.Env = append(slices.Clone(spec.Env), "NAME="+name, "ROUND="+strconv.Itoa(round))
			all = append(all, spec)
		}
		all[1].DependsOn = []string{"a"}
		return all
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for range 200 {
		switch random.IntN(5) {
		case 0:
			r.Apply(specs(random.IntN(3)))
		case 1:
			r.Apply(specs(random.IntN(3))[:random.IntN(3)])
		case 2:
			_ = r.Restart("b") // it may not run
		case 3:
			if all := c.left(); len(all) > 0 {
				_ = syscall.Kill(all[random.IntN(len(all))].pid, syscall.SIGKILL) // it may have ended
			}
		case 4:
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		}
	}
	from := j.count()
	r.Apply(specs(100))
	for _, name := range []string{"a", "b", "c"} {
		j.untilFrom(from, name+" ready", func(s State) bool { return in(name, Running)(s) && s.PID != 0 })
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		left := c.left()
		last := slices.DeleteFunc(slices.Clone(left), func(p process) bool { return !p.hasVariable("ROUND=100") })
		if len(left) == 6 && len(last) == 6 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d processes run, %d of them of the last round", len(left), len(last))
		}
	}
	r.Close(context.Background())
	if left := c.left(); len(left) > 0 {
		t.Errorf("left after Close: %v", left)
	}
}

// tailOf is the end of what a service has printed.
func tailOf(r *Runner, name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.units[name].tail.all()
}
