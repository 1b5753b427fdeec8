package service

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain is also the guard of the services that tests run, and the process that runs
// them in tests that kill it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case Verb:
			os.Exit(Guard())
		case "serve":
			os.Exit(serve(os.Args[2:]))
		case "runner":
			os.Exit(runServices())
		}
	}
	// Guards are this program too; with the race detector, it waits for a second at its end.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(leaktest.Run(m, "devproxy/service."))
}

// runServices runs the services on its standard input until SIGTERM, and prints their
// states.
func runServices() int {
	var specs []Spec
	if err := json.NewDecoder(os.Stdin).Decode(&specs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	states := json.NewEncoder(os.Stdout)
	r := New(Options{OnState: func(s State) { _ = states.Encode(s) }})
	r.Apply(specs)
	<-ctx.Done()
	r.Close(context.Background())
	return 0
}

// patience bounds every wait for a state, on a machine that is busy with other things.
const patience = time.Minute

// journal collects what a Runner reports.
type journal struct {
	t      *testing.T
	mu     sync.Mutex
	states []State
	lines  []string
	change chan struct{}
}

// newRunnerFor returns a Runner that a test ends, and its journal.
func newRunnerFor(t *testing.T) (*Runner, *journal) {
	t.Helper()
	j := newJournal(t)
	r := New(j.options())
	t.Cleanup(func() { r.Close(context.Background()) })
	return r, j
}

func newJournal(t *testing.T) *journal { return &journal{t: t, change: make(chan struct{})} }

func (j *journal) options() Options {
	return Options{
		OnState: func(s State) { j.note(func() { j.states = append(j.states, s) }) },
		OnLine:  func(name string, l Line) { j.note(func() { j.lines = append(j.lines, name+": "+l.Text) }) },
	}
}

func (j *journal) note(what func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	what()
	close(j.change)
	j.change = make(chan struct{})
}

// until waits for a state, from now on or reached before, and returns it.
func (j *journal) until(what string, is func(State) bool) State {
	j.t.Helper()
	return j.untilFrom(0, what, is)
}

// untilFrom looks at the states from number from.
func (j *journal) untilFrom(from int, what string, is func(State) bool) State {
	j.t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		states, change := j.states[from:], j.change
		j.mu.Unlock()
		for _, s := range states {
			if is(s) {
				return s
			}
		}
		select {
		case <-change:
		case <-timeout:
			j.t.Fatalf("never %s: %+v", what, states)
		}
	}
}

// count is how many states were reported.
func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.states)
}

// phases are those of a service, in order, each once in a row.
func (j *journal) phases(name string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var phases []string
	for _, s := range j.states {
		if s.Name == name && (len(phases) == 0 || phases[len(phases)-1] != string(s.Phase)) {
			phases = append(phases, string(s.Phase))
		}
	}
	return strings.Join(phases, " ")
}

func (j *journal) output() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.lines...)
}

// in reports a phase of a service.
func in(name string, phase Phase) func(State) bool {
	return func(s State) bool { return s.Name == name && s.Phase == phase }
}
