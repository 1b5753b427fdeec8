//go:build e2e

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/container"
)

// TestE2EContainersPodman follows containers of a real Podman: it is away at first,
// scales a service to three, reports failed health checks, ends and comes back.
func TestE2EContainersPodman(t *testing.T) {
	if !onMachine(t) {
		return
	}
	p := newPodman(t)
	dir := shortDir(t)
	scale := func(n int) {
		t.Helper()
		saveFile(t, filepath.Join(dir, "compose.yaml"), fmt.Sprintf(`services:
  api:
    image: localhost/server
    deploy:
      replicas: %d
`, n))
		p.compose(dir, "up", "--detach")
	}
	w := container.New(container.Options{Folder: dir, Getenv: func(string) string { return "" }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	until := func(what string, is func(s container.Snapshot) bool) container.Snapshot {
		t.Helper()
		for late := time.After(patience); ; {
			if s := w.Snapshot(); is(s) {
				return s
			}
			select {
			case <-w.Changes():
			case <-late:
				t.Fatalf("not %s: %+v", what, w.Snapshot())
			}
		}
	}
	// running waits until so many containers of the service run, and all answer with
	// their names; "host" has the name of the machine.
	running := func(service string, n int) []container.Container {
		t.Helper()
		var found []container.Container
		until(fmt.Sprintf("%d of %q running", n, service), func(s container.Snapshot) bool {
			found = nil
			for _, c := range s.Containers {
				if c.Service == service && c.State == container.Running {
					found = append(found, c)
				}
			}
			return len(found) == n && s.Err == nil
		})
		for _, c := range found {
			if name := askContainer(t, &c, "/"); !strings.HasPrefix(c.ID, name) && c.Name != "host" {
				t.Errorf("%s answers as %q", c.Name, name)
			}
		}
		return found
	}

	s := until("without an engine", func(s container.Snapshot) bool { return s.Err != nil })
	if !strings.Contains(s.Err.Error(), "/run/podman/podman.sock (does not exist)") {
		t.Errorf("without an engine: %v", s.Err)
	}
	p.serve()
	s = until("listed", func(s container.Snapshot) bool { return s.Listed })
	if s.Engine.Name != "Podman" || s.Engine.Address != "unix:///run/podman/podman.sock" {
		t.Errorf("the engine is %+v", s.Engine)
	}

	scale(1)
	running("api", 1)
	scale(3)
	api := running("api", 3)
	if api[0].Number != 1 || api[2].Number != 3 || api[0].Project != filepath.Base(dir) {
		t.Errorf("the containers are %+v", api)
	}

	health := func(want container.Health) {
		t.Helper()
		s := until(string(want), func(s container.Snapshot) bool {
			return len(s.Containers) == 3 && s.Containers[1].Health == want
		})
		if log := s.Containers[1].HealthLog; (log == "the server is sick") != (want == container.Unhealthy) {
			t.Errorf("when it is %s, the health check says %q", want, log)
		}
	}
	health(container.Starting)
	for _, change := range []struct {
		path string
		want container.Health
	}{{"/well", container.Healthy}, {"/sick", container.Unhealthy}, {"/well", container.Healthy}} {
		askContainer(t, &api[1], change.path)
		// It fails if the container is unhealthy. Without systemd nothing else runs it.
		_, _ = p.try("podman", "healthcheck", "run", api[1].Name)
		health(change.want)
	}

	p.run("stop", "--time", "0", api[1].Name)
	running("api", 2)
	p.run("rm", "--force", "--time", "0", api[2].Name)
	running("api", 1)
	p.run("start", api[1].Name)
	running("api", 2)

	// By hand, with a published port. A stranger's image does not get in.
	p.run("run", "--detach", "--name", "hand", "--label", "devproxy.project="+dir, "--label", "devproxy.host=hand.localhost", "--publish", "8000", "localhost/server")
	if at, err := running("", 1)[0].Reach(0); err != nil || !at.Addr().IsLoopback() {
		t.Errorf("the published port is %v, %v", at, err)
	}
	evil := shortDir(t)
	if out, err := p.try("cp", "/proc/self/exe", filepath.Join(evil, "server")); err != nil {
		t.Fatal(out)
	}
	p.image(evil, "evil", fmt.Sprintf("LABEL com.docker.compose.project.working_dir=%s com.docker.compose.service=api devproxy.host=hand.localhost", dir))
	p.run("create", "--name", "evil", "localhost/evil")
	s = until("a problem", func(s container.Snapshot) bool { return len(s.Problems) > 0 })
	if len(s.Containers) != 3 || s.Problems[0].Container != "evil" || !strings.Contains(s.Problems[0].Err.Error(), "its image has the label") {
		t.Errorf("with a stranger's image: %+v", s)
	}
	p.run("rm", "evil")

	p.run("run", "--detach", "--name", "host", "--label", "devproxy.project="+dir, "--network", "host", "localhost/server")
	if at, err := find(t, running("", 2), "host").Reach(0); err != nil || at.String() != "127.0.0.1:8000" {
		t.Errorf("on the host's network: %v, %v", at, err)
	}
	p.run("rm", "--force", "--time", "0", "host")

	// The engine ends and comes back. Meanwhile, a container stops.
	p.stop()
	s = until("away", func(s container.Snapshot) bool { return s.Err != nil })
	if len(s.Containers) < 3 || !strings.Contains(s.Err.Error(), "/run/podman/podman.sock") {
		t.Errorf("while the engine is away: %+v", s)
	}
	p.run("rm", "--force", "--time", "0", "hand")
	p.serve()
	running("", 0)
	running("api", 2)
	p.compose(dir, "down", "--timeout", "0")
	until("empty", func(s container.Snapshot) bool { return len(s.Containers) == 0 && s.Listed && s.Err == nil })
}

// askContainer sends a request to a container and returns the answer.
func askContainer(t *testing.T, c *container.Container, path string) string {
	t.Helper()
	at, err := c.Reach(0)
	if err != nil {
		t.Fatal(err)
	}
	// It has started, and its server may still be about to listen.
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + at.String() + path)
		if err == nil {
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		if time.Now().After(late) {
			t.Fatalf("%s at %s: %v", c.Name, at, err)
		}
	}
}

// find returns the container of that name.
func find(t *testing.T, all []container.Container, name string) *container.Container {
	t.Helper()
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	t.Fatalf("no container %s", name)
	return nil
}
