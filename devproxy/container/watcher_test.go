package container

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/container/containertest"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// quick makes a watcher try again soon, and keeps nothing of an engine that is away.
func quick(opts Options) Options {
	opts.times = normalTimes
	opts.times.longestPause = 100 * time.Millisecond
	return opts
}

// options are those of a project in a new folder, with an engine at host.
func options(t testing.TB, host string) Options {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return Options{Folder: folder, Getenv: func(name string) string {
		if name == "DOCKER_HOST" {
			return host
		}
		return ""
	}}
}

// start runs a watcher until the test ends.
func start(t testing.TB, opts Options) *Watcher {
	t.Helper()
	w := New(opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// await waits until the snapshot is as told.
func await(t testing.TB, w *Watcher, what string, is func(Snapshot) bool) Snapshot {
	t.Helper()
	late := time.After(patience)
	for {
		if s := w.Snapshot(); is(s) {
			return s
		}
		select {
		case <-w.Changes():
		case <-late:
			t.Fatalf("not %s: the snapshot is %s", what, describe(w.Snapshot()))
		}
	}
}

// describe is a snapshot in short: "api-1 running healthy 127.0.0.1:3000".
func describe(s Snapshot) string {
	var lines []string
	for _, c := range s.Containers {
		line := fmt.Sprintf("%s %s", c.Name, c.State)
		if c.Health != Unchecked {
			line += " " + string(c.Health)
		}
		if at, err := c.Reach(0); err != nil {
			line += " " + err.Error()
		} else {
			line += " " + at.String()
		}
		lines = append(lines, line)
	}
	for _, p := range s.Problems {
		lines = append(lines, fmt.Sprintf("problem %s: %v", p.Container, p.Err))
	}
	if s.Err != nil {
		lines = append(lines, "error: "+s.Err.Error())
	}
	return strings.Join(lines, "\n")
}

// TestFollow starts, scales, breaks and stops containers of an engine.
func TestFollow(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := options(t, engine.Host())
	w := start(t, opts)
	s := await(t, w, "listed", func(s Snapshot) bool { return s.Listed })
	if s.Engine.Name != "Docker" || s.Engine.Version != "28.2.2" || s.Engine.Address != engine.Host() || s.Engine.Source != "DOCKER_HOST" {
		t.Errorf("the engine is %+v", s.Engine)
	}
	api := func(number int) containertest.Container {
		return containertest.Container{
			Name: fmt.Sprintf("shop-api-%d", number), Labels: containertest.Compose(opts.Folder, "api", number),
			Published: map[uint16]uint16{3000: uint16(40000 + number)}, Exposed: []uint16{3000},
		}
	}
	until := func(want string) {
		t.Helper()
		await(t, w, want, func(s Snapshot) bool { return describe(s) == want })
	}
	engine.Set(api(1))
	until("shop-api-1 running 127.0.0.1:40001")
	engine.Set(api(1), api(2), api(3))
	until("shop-api-1 running 127.0.0.1:40001\nshop-api-2 running 127.0.0.1:40002\nshop-api-3 running 127.0.0.1:40003")
	broken := api(2)
	broken.Health, broken.HealthLog = "unhealthy", "connecting\nrefused\n"
	engine.Set(api(1), broken)
	until("shop-api-1 running 127.0.0.1:40001\nshop-api-2 running unhealthy 127.0.0.1:40002")
	if log := w.Snapshot().Containers[1].HealthLog; log != "refused" {
		t.Errorf("the last line of the health check is %q", log)
	}
	broken.State = "exited"
	engine.Set(broken)
	until(`shop-api-2 exited container shop-api-2 is not running: its state is "exited"`)
	engine.Set()
	until("")
}

// TestEngineAway has an engine that is not there at first, ends and comes back.
func TestEngineAway(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	engine.Stop()
	opts := quick(options(t, engine.Host()))
	engine.Set(containertest.Container{Name: "web", Labels: map[string]string{"devproxy.project": opts.Folder}, Published: map[uint16]uint16{80: 40080}})
	w := start(t, opts)
	s := await(t, w, "failed", func(s Snapshot) bool { return s.Err != nil })
	if s.Listed || !strings.Contains(s.Err.Error(), "no container engine at ") || !strings.Contains(s.Err.Error(), "named by DOCKER_HOST") {
		t.Errorf("without an engine, the snapshot is %+v", s)
	}
	engine.Start()
	await(t, w, "listed", func(s Snapshot) bool { return describe(s) == "web running 127.0.0.1:40080" })
	engine.Stop()
	s = await(t, w, "failed", func(s Snapshot) bool { return s.Err != nil })
	if !s.Listed || len(s.Containers) != 1 {
		t.Errorf("as soon as the engine is away, the snapshot is %+v", s)
	}
	engine.Start()
	await(t, w, "listed", func(s Snapshot) bool { return describe(s) == "web running 127.0.0.1:40080" })
}

// TestAwayForLong expects that the containers of an engine go when it does not come back.
func TestAwayForLong(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := quick(options(t, engine.Host()))
	opts.times.keep = 300 * time.Millisecond
	engine.Set(containertest.Container{Name: "web", Labels: map[string]string{"devproxy.project": opts.Folder}})
	w := start(t, opts)
	await(t, w, "listed", func(s Snapshot) bool { return len(s.Containers) == 1 })
	engine.Stop()
	await(t, w, "empty", func(s Snapshot) bool { return s.Err != nil && !s.Listed && s.Containers == nil })
}

// TestLateHealth has an engine that reports a health check before it has stored the
// result, as Podman does.
func TestLateHealth(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := options(t, engine.Host())
	w := start(t, opts)
	await(t, w, "listed", func(s Snapshot) bool { return s.Listed })
	c := containertest.Container{Name: "web", Labels: map[string]string{"devproxy.project": opts.Folder}, Health: "starting"}
	engine.Set(c)
	await(t, w, "starting", func(s Snapshot) bool { return len(s.Containers) == 1 && s.Containers[0].Health == Starting })
	c.Health = "healthy"
	engine.SetSilently(c)
	await(t, w, "healthy", func(s Snapshot) bool { return s.Containers[0].Health == Healthy })
}

// TestMissedEvent finds a change that made no event, some time later.
func TestMissedEvent(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := quick(options(t, engine.Host()))
	opts.times.anyway = 300 * time.Millisecond
	w := start(t, opts)
	await(t, w, "listed", func(s Snapshot) bool { return s.Listed })
	engine.SetSilently(containertest.Container{Name: "web", Labels: map[string]string{"devproxy.project": opts.Folder}})
	await(t, w, "found", func(s Snapshot) bool { return len(s.Containers) == 1 })
}

// TestFlappingEngine has an engine whose stream of events ends at once. Its containers
// are known, and it is not reported as away each time.
func TestFlappingEngine(t *testing.T) {
	t.Parallel()
	lists := make(chan struct{}, 1000)
	opts := quick(options(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/version":
			_, _ = io.WriteString(w, `{"Version": "1"}`)
		case "/containers/json":
			lists <- struct{}{}
			_, _ = io.WriteString(w, `[]`)
		}
	}))))
	w := start(t, opts)
	for range 5 {
		<-lists
		if err := w.Snapshot().Err; err != nil {
			t.Fatal(err)
		}
	}
}

// TestEngineAwayIsSaidOnce counts what a person would be told while an engine is away.
func TestEngineAwayIsSaidOnce(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := quick(options(t, engine.Host()))
	w := start(t, opts)
	await(t, w, "listed", func(s Snapshot) bool { return s.Listed })
	engine.Stop()
	told := await(t, w, "failed", func(s Snapshot) bool { return s.Err != nil }).Err.Error()
	quiet := time.After(10 * opts.times.longestPause) // several attempts to reconnect
	for {
		select {
		case <-w.Changes():
			if s := w.Snapshot(); s.Err == nil || s.Err.Error() != told {
				t.Fatalf("after %q: %v", told, s.Err)
			}
		case <-quiet:
			return
		}
	}
}
