package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// firstPause is before a service that has failed starts again. Each further failure
	// in a row doubles it, up to lastPause.
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	// steadyAfter is how long a service must have been ready for its earlier failures
	// to be forgotten.
	steadyAfter = 10 * time.Second
)

// unit is one service of a Runner. Its goroutine, run, is the only one that starts and
// stops its command.
type unit struct {
	runner *Runner
	over   chan struct{} // closed when run has ended
	tail   *tail

	// The fields below are guarded by the runner's lock.
	want   *Spec // nil means that it has to end
	ctx    context.Context
	cancel context.CancelFunc // ends ctx, with what runs for the current want
	state  State
}

// wantLocked ends what runs, and has run go on with spec.
func (u *unit) wantLocked(spec *Spec) {
	u.want = spec
	u.cancel()
	u.renewLocked()
}

func (u *unit) renewLocked() { u.ctx, u.cancel = context.WithCancel(context.Background()) }

// run runs the service as it is wanted until nothing is wanted.
func (u *unit) run() {
	defer close(u.over)
	for {
		spec, ctx := u.next()
		if spec == nil {
			return
		}
		u.serve(ctx, *spec)
	}
}

// next returns what is wanted now. If that is nothing, the service is gone.
func (u *unit) next() (*Spec, context.Context) {
	u.runner.mu.Lock()
	defer u.runner.mu.Unlock()
	if u.want == nil {
		u.cancel()
		u.setLocked(State{Phase: Stopped, Port: u.state.Port, Exit: u.state.Exit})
		delete(u.runner.units, u.state.Name)
	}
	return u.want, u.ctx
}

// serve keeps the service running until ctx ends.
func (u *unit) serve(ctx context.Context, spec Spec) {
	for failures := 0; u.waitForOthers(ctx, spec); {
		exit, ready := u.attempt(ctx, spec, failures)
		if ctx.Err() != nil {
			return
		}
		if ready >= steadyAfter {
			failures = 0
		}
		pause := min(firstPause<<min(failures, 16), lastPause)
		if !exit.OK() {
			failures++
		}
		over := u.ended(spec, exit, failures)
		if exit.OK() || spec.restart() == Never {
			u.set(over)
			<-ctx.Done()
			return
		}
		over.Next = time.Now().Add(pause)
		u.set(over)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// waitForOthers returns when the services that it depends on are ready; false if ctx
// has ended.
func (u *unit) waitForOthers(ctx context.Context, spec Spec) bool {
	for {
		missing, changed := u.runner.missing(spec.DependsOn)
		if len(missing) == 0 {
			return ctx.Err() == nil
		}
		u.set(State{Phase: Waiting, Port: spec.Port, WaitsFor: missing})
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// attempt runs the command once. It returns when nothing of it is left, with how it
// ended and how long it was ready.
func (u *unit) attempt(ctx context.Context, spec Spec, failures int) (exit Exit, ready time.Duration) {
	now := State{Phase: Starting, Port: spec.Port, Failures: failures}
	if failures > 0 {
		now.Output = u.tail.all()
	}
	u.set(now)
	if holder := u.runner.sys.holder(spec.Port); holder != "" {
		return Exit{Error: fmt.Sprintf("port %d is in use by %s", spec.Port, holder)}, 0
	}
	out := newOutput(spec, u.tail, u.runner.opts.OnLine)
	command, err := u.runner.sys.launch(spec, out)
	if err != nil {
		return Exit{Error: err.Error()}, 0
	}
	awaiting, endAwait := context.WithCancel(ctx)
	found, late, awaited := make(chan uint16, 1), make(chan string), make(chan struct{})
	go func() {
		defer close(awaited)
		say := func(why string) {
			select {
			case late <- why:
			case <-awaiting.Done():
			}
		}
		if port, ok := u.runner.sys.await(awaiting, spec, command, out, say); ok {
			found <- port
		}
	}()
	defer func() { endAwait(); <-awaited }()

	stop, killNow := ctx.Done(), u.runner.killNow
	var isReady <-chan uint16 // found, once the pid is known
	var since time.Time
	for {
		select {
		case e, more := <-command.events():
			switch {
			case !more:
				return exit, ready
			case e.Exit != nil:
				exit = *e.Exit
				now.Phase = Ending
				endAwait()
				if !since.IsZero() {
					ready = time.Since(since)
				}
				ending := State{Phase: Ending, Port: now.Port, Failures: failures}
				if stop != nil && !exit.OK() { // it was not asked to end
					ending.Output = u.tail.all()
				}
				u.set(ending)
			default:
				now.PID, isReady = e.PID, found
				u.set(now)
			}
		case port := <-isReady:
			if now.Phase == Starting {
				since = time.Now()
				now.Phase, now.Port, now.Output, now.Late = Running, port, nil, ""
				u.set(now)
			}
		case why := <-late:
			if now.Phase == Starting {
				now.Late, now.Output = why, u.tail.all()
				u.set(now)
			}
		case <-stop:
			stop = nil
			now.Phase, now.Late = Ending, ""
			u.set(now)
			command.stop()
		case <-killNow:
			killNow = nil
			command.kill()
		}
	}
}

// ended is the state after the command has ended by itself.
func (u *unit) ended(spec Spec, exit Exit, failures int) State {
	if exit.OK() {
		return State{Phase: Stopped, Port: spec.Port}
	}
	return State{Phase: Failed, Port: spec.Port, Exit: exit, Failures: failures, Output: u.tail.all()}
}

func (u *unit) set(s State) {
	u.runner.mu.Lock()
	defer u.runner.mu.Unlock()
	u.setLocked(s)
}

// setLocked changes the state, and reports it if it differs.
func (u *unit) setLocked(s State) {
	s.Name, s.Since = u.state.Name, u.state.Since
	if s.Phase != u.state.Phase {
		s.Since = time.Now()
	}
	if u.state.equal(s) {
		return
	}
	u.state = s
	u.runner.notifyLocked()
	if u.runner.opts.OnState != nil {
		u.runner.opts.OnState(s)
	}
}

func (s State) equal(other State) bool {
	return s.Phase == other.Phase && s.PID == other.PID && s.Port == other.Port && slices.Equal(s.WaitsFor, other.WaitsFor) &&
		s.Late == other.Late && s.Exit == other.Exit && s.Failures == other.Failures && s.Next.Equal(other.Next) && strings.Join(s.Output, "\n") == strings.Join(other.Output, "\n")
}
