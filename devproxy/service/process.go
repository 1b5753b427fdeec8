package service

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// guardGrace is how much longer than the service a guard may take to end. Then
	// devproxy kills it, and what is left, itself.
	guardGrace = 5 * time.Second
	// outputGrace is how long output is read after the guard has ended. Only a process
	// that the guard could not end still has the pipe open then.
	outputGrace = 2 * time.Second
	// markVariable is in the environment of everything that a service starts. Its value is
	// random for each start.
	markVariable = "DEVPROXY_SERVICE_START"
)

// guarded is a command that runs below its guard.
type guarded struct {
	guard    *exec.Cmd
	spec     Spec
	mark     string
	out      *output
	happened chan event

	mu       sync.Mutex
	orders   *os.File // to the guard
	overtime *time.Timer
}

// launch starts the guard of a service, which starts its command.
func launch(spec Spec, out *output) (running, error) {
	path, err := lookPath(spec)
	if err != nil {
		return nil, err
	}
	program, err := guardProgram()
	if err != nil {
		return nil, fmt.Errorf("cannot find devproxy's own program: %w", err)
	}
	input, orders, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	defer input.Close()
	notes, report, err := os.Pipe()
	if err != nil {
		orders.Close()
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	defer report.Close()
	g := &guarded{spec: spec, mark: markVariable + "=" + rand.Text(), out: out, orders: orders, happened: make(chan event, 2)}
	g.guard = &exec.Cmd{
		Path: program, Args: []string{"service-guard", Verb, spec.Name}, SysProcAttr: guardAttributes(),
		Stdin: input, Stdout: report, Stderr: out, WaitDelay: outputGrace,
	}
	if err := g.guard.Start(); err != nil {
		orders.Close()
		notes.Close()
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	go g.follow(notes)
	g.say(order{Path: path, Args: spec.Args, Dir: spec.Dir, Env: append(spec.Env[:len(spec.Env):len(spec.Env)], g.mark), Stop: spec.stop()})
	return g, nil
}

// follow passes on what the guard reports, until nothing of the command is left.
func (g *guarded) follow(notes *os.File) {
	defer close(g.happened)
	defer notes.Close()
	leader, exited, gone := 0, false, false
	for input := json.NewDecoder(notes); ; {
		var n note
		if input.Decode(&n) != nil {
			break
		}
		switch {
		case n.PID != 0:
			leader = n.PID
			g.happened <- event{PID: n.PID}
		case n.Exit != nil:
			exited = true
			g.happened <- event{Exit: n.Exit}
		}
		gone = gone || n.Gone
	}
	if !gone {
		killRest(g.mark, leader)
	}
	if err := g.guard.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		g.out.close()
	}
	if !exited {
		g.happened <- event{Exit: &Exit{Error: "its guard was killed"}}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.orders.Close()
	g.orders = nil
	if g.overtime != nil {
		g.overtime.Stop()
	}
}

func (g *guarded) events() <-chan event { return g.happened }

func (g *guarded) stop() { g.end(wordStop, g.spec.stop()+guardGrace) }

func (g *guarded) kill() { g.end(wordKill, guardGrace) }

// end tells the guard to end, and kills it when it takes longer than patience.
func (g *guarded) end(word string, patience time.Duration) {
	g.say(word)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.orders == nil {
		return
	}
	if g.overtime != nil {
		g.overtime.Stop()
	}
	g.overtime = time.AfterFunc(patience, func() { _ = g.guard.Process.Kill() })
}

// say writes a line to the guard. A guard that was killed reads none.
func (g *guarded) say(line any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.orders != nil {
		_ = json.NewEncoder(g.orders).Encode(line)
	}
}

func (g *guarded) ports() []uint16 { return treePorts(g.guard.Process.Pid) }

// lookPath returns the program of a service.
func lookPath(spec Spec) (string, error) {
	if info, err := os.Stat(spec.Dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the folder %s does not exist", spec.Dir)
	}
	if real, err := filepath.EvalSymlinks(spec.Dir); spec.RealDir != "" && (err != nil || real != spec.RealDir) {
		return "", fmt.Errorf("the folder %s is a link to another folder now; save the Proxyfile to have it read again", spec.Dir)
	}
	name := spec.Args[0]
	if filepath.Base(name) != name {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(spec.Dir, path)
		}
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("%s is not an executable file", name)
		}
		return found, nil
	}
	for _, variable := range spec.Env {
		key, value, _ := strings.Cut(variable, "=")
		if key != "PATH" && (runtime.GOOS != "windows" || !strings.EqualFold(key, "PATH")) {
			continue
		}
		for _, folder := range filepath.SplitList(value) {
			if !filepath.IsAbs(folder) {
				continue
			}
			if found, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
				return found, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not on PATH%s", name, elsewhere(spec.Dir, name))
}

// elsewhere says where a program is that is not on PATH: packages of Node are found by a
// package manager only, and files of a folder by their path.
func elsewhere(dir, name string) string {
	if _, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
		return fmt.Sprintf("; for the file in %s, write ./%s", dir, name)
	}
	for folder := dir; ; folder = filepath.Dir(folder) {
		if _, err := exec.LookPath(filepath.Join(folder, "node_modules", ".bin", name)); err == nil {
			return fmt.Sprintf("; it is a package in %s, so write npx %s, pnpm exec %[2]s or yarn %[2]s", filepath.Join(folder, "node_modules"), name)
		}
		if folder == filepath.Dir(folder) {
			return "; the command starts in " + dir
		}
	}
}
