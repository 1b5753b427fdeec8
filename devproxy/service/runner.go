package service

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Options configure a Runner.
type Options struct {
	// OnState is called at every change of a State, one call at a time and in order; it
	// may be nil. It must not block, and must not call the Runner.
	OnState func(State)
	// OnLine is called for every line that a service prints, one call at a time for each
	// service; it may be nil. While it blocks, so does the service once its pipe is full:
	// no line is dropped.
	OnLine func(name string, line Line)
}

// Runner runs services. It is safe for concurrent use.
type Runner struct {
	opts Options
	sys  system

	mu      sync.Mutex
	units   map[string]*unit
	changed chan struct{} // closed, and made again, at every change of a state
	closed  bool
	killNow chan struct{} // closed when services get no more time to end
	group   sync.WaitGroup
}

// system is what a Runner needs of the machine; tests replace it.
type system struct {
	// launch starts the command of a spec.
	launch func(Spec, *output) (running, error)
	// await returns the port that the service listens on once it is ready; ok is false
	// if ctx has ended before. It calls late with the reason when that takes long.
	await func(ctx context.Context, spec Spec, r running, out *output, late func(why string)) (port uint16, ok bool)
	// holder returns the process that listens on a port, as a noun; empty if none does.
	holder func(port uint16) string
}

// running is a command and everything it has started.
type running interface {
	// events reports its pid, and how the command has ended. It is closed when nothing
	// of it is left.
	events() <-chan event
	// stop asks it to end, and kills it after its time.
	stop()
	// kill ends it at once.
	kill()
	// ports are those that its processes listen on, where the system shows them.
	ports() []uint16
}

// event is one of the two things that happen to a command.
type event struct {
	PID  int   // it has started
	Exit *Exit // it has ended
}

// New returns a Runner without services. Close ends it.
func New(opts Options) *Runner {
	return newRunner(opts, system{launch: launch, await: await, holder: holderOf})
}

func newRunner(opts Options, sys system) *Runner {
	return &Runner{opts: opts, sys: sys, units: map[string]*unit{}, changed: make(chan struct{}), killNow: make(chan struct{})}
}

// Apply makes specs the services that run. It stops those that are not among them,
// starts those that are new, and restarts those whose spec has changed. It returns at
// once; a service starts when its former process has ended and the services it depends
// on are ready. Names must be unique, and dependencies without a cycle.
func (r *Runner) Apply(specs []Spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	wanted := map[string]bool{}
	for _, spec := range specs {
		wanted[spec.Name] = true
		u := r.units[spec.Name]
		switch {
		case u == nil:
			r.startLocked(spec)
		case u.want == nil || !u.want.Equal(spec):
			u.wantLocked(&spec)
		}
	}
	for name, u := range r.units {
		if !wanted[name] && u.want != nil {
			u.wantLocked(nil)
		}
	}
	r.notifyLocked() // dependencies may be there now
}

func (r *Runner) startLocked(spec Spec) {
	u := &unit{runner: r, want: &spec, over: make(chan struct{}), tail: &tail{}}
	u.state = State{Name: spec.Name, Port: spec.Port, Phase: Waiting, Since: time.Now()}
	u.renewLocked()
	r.units[spec.Name] = u
	r.group.Go(u.run)
}

// Restart stops a service and starts it again, whatever its state. The error is that
// of an unknown name.
func (r *Runner) Restart(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.units[name]
	if u == nil || u.want == nil || r.closed {
		return fmt.Errorf("no service %q runs here", name)
	}
	u.wantLocked(u.want)
	return nil
}

// States are the states of all services, by name.
func (r *Runner) States() []State {
	r.mu.Lock()
	defer r.mu.Unlock()
	states := make([]State, 0, len(r.units))
	for _, name := range slices.Sorted(maps.Keys(r.units)) {
		states = append(states, r.units[name].state)
	}
	return states
}

// Close stops all services, those that others depend on last, and returns when nothing
// of them is left. When ctx ends it kills what is left.
func (r *Runner) Close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	defer r.group.Wait()
	stopKilling := context.AfterFunc(ctx, sync.OnceFunc(func() { close(r.killNow) }))
	defer stopKilling()
	for {
		leaves := r.stopLeaves()
		if len(leaves) == 0 {
			return
		}
		for _, u := range leaves {
			<-u.over
		}
	}
}

// stopLeaves stops the services that no other service which is left depends on.
func (r *Runner) stopLeaves() []*unit {
	r.mu.Lock()
	defer r.mu.Unlock()
	needed := map[string]bool{}
	for _, u := range r.units {
		if u.want != nil {
			for _, name := range u.want.DependsOn {
				needed[name] = true
			}
		}
	}
	var leaves []*unit
	for name, u := range r.units {
		if !needed[name] {
			leaves = append(leaves, u)
		}
	}
	if len(leaves) == 0 { // a cycle
		leaves = slices.Collect(maps.Values(r.units))
	}
	for _, u := range leaves {
		u.wantLocked(nil)
	}
	return leaves
}

// missing are those of names that are not ready, and a channel that is closed at the
// next change.
func (r *Runner) missing(names []string) (missing []string, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if u := r.units[name]; u == nil || u.state.Phase != Running {
			missing = append(missing, name)
		}
	}
	return missing, r.changed
}

func (r *Runner) notifyLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}
