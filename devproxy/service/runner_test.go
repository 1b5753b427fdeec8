package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSystem runs commands that are not processes.
type fakeSystem struct {
	mu       sync.Mutex
	launched []string // "NAME at TIME", in order
	commands map[string]*fakeCommand
	began    time.Time
	// fail, if set, has each command end with status 1 at once.
	fail atomic.Bool
	// ends is how long a command takes to end when it is stopped.
	ends time.Duration
}

// fakeCommand is a command that runs until it is stopped.
type fakeCommand struct {
	name     string
	happened chan event
	ready    chan struct{}
	stopped  chan struct{}
	system   *fakeSystem
}

func (c *fakeCommand) events() <-chan event { return c.happened }
func (c *fakeCommand) ports() []uint16      { return nil }
func (c *fakeCommand) kill()                { close(c.stopped) }
func (c *fakeCommand) stop() {
	c.system.log("stop " + c.name)
	go func() {
		select {
		case <-time.After(c.system.ends):
		case <-c.stopped:
		}
		c.exit(Exit{Signal: "SIGTERM"})
	}()
}

func (c *fakeCommand) exit(exit Exit) {
	c.happened <- event{Exit: &exit}
	close(c.happened)
}

func newFakeSystem() *fakeSystem {
	return &fakeSystem{commands: map[string]*fakeCommand{}, began: time.Now(), ends: time.Millisecond}
}

func (f *fakeSystem) log(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.launched = append(f.launched, what)
}

// forget empties the log.
func (f *fakeSystem) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.launched = nil
}

func (f *fakeSystem) system() system {
	return system{
		holder: func(uint16) string { return "" },
		launch: func(spec Spec, _ *output) (running, error) {
			f.log(fmt.Sprintf("%s at %v", strings.Join(spec.Args, " "), time.Since(f.began)))
			c := &fakeCommand{name: spec.Name, happened: make(chan event, 2), ready: make(chan struct{}), stopped: make(chan struct{}), system: f}
			f.mu.Lock()
			f.commands[spec.Name] = c
			f.mu.Unlock()
			c.happened <- event{PID: 1}
			if f.fail.Load() {
				c.exit(Exit{Status: 1})
			}
			return c, nil
		},
		await: func(ctx context.Context, spec Spec, r running, _ *output, _ func(string)) (uint16, bool) {
			select {
			case <-r.(*fakeCommand).ready:
				return spec.Port, true
			case <-ctx.Done():
				return 0, false
			}
		},
	}
}

// bubble runs a test with a fake system, in fake time.
func bubble(t *testing.T, test func(t *testing.T, f *fakeSystem, r *Runner, j *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, j := newFakeSystem(), newJournal(t)
		r := newRunner(j.options(), f.system())
		test(t, f, r, j)
		r.Close(context.Background())
	})
}

func (f *fakeSystem) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.launched, want) {
		t.Fatalf("launched %q, want %q", f.launched, want)
	}
}

func named(name string, dependsOn ...string) Spec {
	return Spec{Name: name, Args: []string{name}, DependsOn: dependsOn, Port: 3000}
}

// TestPauses is how often a service that fails starts again.
func TestPauses(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, j *journal) {
		f.fail.Store(true)
		r.Apply([]Spec{named("web")})
		time.Sleep(2 * time.Minute)
		f.expect(t, "web at 0s", "web at 500ms", "web at 1.5s", "web at 3.5s", "web at 7.5s", "web at 15.5s", "web at 31.5s", "web at 1m1.5s", "web at 1m31.5s")
		s := r.States()[0]
		if s.Phase != Failed || s.Failures != 9 || time.Until(s.Next) != 1500*time.Millisecond || s.Exit.String() != "exited with status 1" {
			t.Errorf("%+v", s)
		}
		// A restart by hand does not wait, and begins with short pauses.
		f.forget()
		if err := r.Restart("web"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		f.expect(t, "web at 2m0s", "web at 2m0.5s")
	})
}

// TestPausesAfterSteadyRun is a service that fails after it was ready for a while.
func TestPausesAfterSteadyRun(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, _ *journal) {
		f.fail.Store(true)
		r.Apply([]Spec{named("web")})
		time.Sleep(3 * time.Second) // three failures
		f.fail.Store(false)
		f.forget()
		time.Sleep(time.Second)
		synctest.Wait()
		close(f.commands["web"].ready)
		time.Sleep(steadyAfter)
		synctest.Wait()
		f.commands["web"].exit(Exit{Signal: "SIGSEGV"})
		time.Sleep(firstPause)
		f.expect(t, "web at 3.5s", "web at 14.5s")
	})
}

// TestNever leaves a service that has failed, and one that has ended.
func TestNever(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		restart Restart
		exit    Exit
		phase   Phase
		starts  int
	}{{Never, Exit{Status: 3}, Failed, 1}, {Never, Exit{}, Stopped, 1}, {OnFailure, Exit{}, Stopped, 1}, {OnFailure, Exit{Signal: "SIGKILL"}, Starting, 2}} {
		bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, _ *journal) {
			spec := named("web")
			spec.Restart = c.restart
			r.Apply([]Spec{spec})
			synctest.Wait()
			f.commands["web"].exit(c.exit)
			time.Sleep(firstPause)
			synctest.Wait()
			if s := r.States()[0]; s.Phase != c.phase || len(f.launched) != c.starts || !s.Next.IsZero() {
				t.Errorf("%+v: %+v, %q", c, s, f.launched)
			}
		})
	}
}

// TestDependencies starts services in their order, and stops them in the opposite one.
func TestDependencies(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, j *journal) {
		r.Apply([]Spec{named("web", "api", "db"), named("api", "db"), named("db")})
		f.expect(t, "db at 0s")
		if s := j.until("waiting", in("web", Waiting)); !slices.Equal(s.WaitsFor, []string{"api", "db"}) {
			t.Errorf("%+v", s)
		}
		close(f.commands["db"].ready)
		f.expect(t, "db at 0s", "api at 0s")
		close(f.commands["api"].ready)
		f.expect(t, "db at 0s", "api at 0s", "web at 0s")
		r.Close(context.Background())
		f.expect(t, "db at 0s", "api at 0s", "web at 0s", "stop web", "stop api", "stop db")
		if phases := j.phases("web"); phases != "waiting starting ending stopped" {
			t.Error(phases)
		}
	})
}

// TestDependencyThatIsMissing waits for a service that comes later.
func TestDependencyThatIsMissing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, _ *journal) {
		r.Apply([]Spec{named("web", "db")})
		f.expect(t)
		r.Apply([]Spec{named("web", "db"), named("db")})
		f.expect(t, "db at 0s")
		close(f.commands["db"].ready)
		f.expect(t, "db at 0s", "web at 0s")
	})
}

// TestCycle closes a Runner whose services wait for each other.
func TestCycle(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, _ *journal) {
		r.Apply([]Spec{named("a", "b"), named("b", "a")})
		f.expect(t)
	})
}

// TestApply restarts only what has changed, and never runs a service twice at once.
func TestApply(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, j *journal) {
		f.ends = time.Second
		web, api := named("web"), named("api", "web")
		r.Apply([]Spec{web, api})
		f.expect(t, "web at 0s")
		close(f.commands["web"].ready)
		f.expect(t, "web at 0s", "api at 0s")

		r.Apply([]Spec{named("web"), api}) // equal
		f.expect(t, "web at 0s", "api at 0s")

		api.Args = []string{"api 2"} // while it is starting
		r.Apply([]Spec{web, api})
		f.expect(t, "web at 0s", "api at 0s", "stop api")
		api.Args = []string{"api 3"} // while it is ending
		r.Apply([]Spec{web, api})
		time.Sleep(time.Second)
		f.expect(t, "web at 0s", "api at 0s", "stop api", "api 3 at 1s")

		r.Apply([]Spec{web})
		f.expect(t, "web at 0s", "api at 0s", "stop api", "api 3 at 1s", "stop api")
		r.Apply([]Spec{web, api}) // comes back while it is ending
		time.Sleep(time.Second)
		f.expect(t, "web at 0s", "api at 0s", "stop api", "api 3 at 1s", "stop api", "api 3 at 2s")

		r.Apply(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if states := r.States(); len(states) > 0 {
			t.Errorf("%+v", states)
		}
		if err := r.Restart("web"); err == nil {
			t.Error("restarted a service that does not exist")
		}
	})
}

// TestHurryFake closes a Runner whose service takes an hour to end.
func TestHurryFake(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, f *fakeSystem, r *Runner, _ *journal) {
		f.ends = time.Hour
		r.Apply([]Spec{named("web")})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.Close(ctx)
		if took := time.Since(f.began); took != time.Minute {
			t.Errorf("closed after %v", took)
		}
	})
}
