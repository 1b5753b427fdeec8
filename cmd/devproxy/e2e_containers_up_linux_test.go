//go:build e2e

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestE2EContainersUp has a compose project in a real Podman behind devproxy: started
// after devproxy, scaled to three and back, with a failing health check, killed, and with
// the engine away. Requests to a service of which a container runs never fail.
func TestE2EContainersUp(t *testing.T) {
	if !onMachine(t) {
		return
	}
	p := newPodman(t)
	dir := projectDir(t, `discover = "docker"

host "shop.localhost" {
  respond = 204

  route "/api" { upstream = service.api }
}

service "api" { container = "api" }
`)
	compose := func(replicas int) {
		t.Helper()
		saveFile(t, filepath.Join(dir, "compose.yaml"), fmt.Sprintf(`services:
  api:
    image: localhost/server
    deploy:
      replicas: %d
  mail:
    image: localhost/server
    ports: ["127.0.0.1::8000"]
    labels:
      devproxy.host: mail.shop.localhost
`, replicas))
		p.compose(dir, "up", "--detach")
	}
	// By compose in a folder next to it, and by hand without a project: not this project's.
	other := shortDir(t)
	saveFile(t, filepath.Join(other, "compose.yaml"), `services:
  api:
    image: localhost/server
    labels:
      devproxy.host: mail.shop.localhost
      devproxy.project: `+dir+`
`)

	u := startUp(t, dir, "--allow")
	c := &memberClient{t: t, u: u, http: u.client("h2")}
	p.serve()
	p.compose(other, "up", "--detach")
	compose(1)
	one := c.until("/api", p.running(dir, "api"))
	if len(one) != 1 {
		t.Fatalf("%q answer, want one container", one)
	}
	load := c.load("/api")

	compose(3)
	three := c.until("/api", p.running(dir, "api"))
	if len(three) != 3 {
		t.Fatalf("%q answer, want three containers", three)
	}

	// The one that is unhealthy gets no requests until it is healthy again.
	project := filepath.Base(dir)
	second := p.run("inspect", "--format", "{{.Config.Hostname}}", project+"_api_2")
	for _, name := range []string{project + "_api_1", project + "_api_2", project + "_api_3"} {
		p.run("healthcheck", "run", name)
	}
	p.ask(project+"_api_2", "/sick")
	_, _ = p.try("podman", "healthcheck", "run", project+"_api_2") // it fails if the container is unhealthy
	c.until("/api", allBut(three, second))
	p.ask(project+"_api_2", "/well")
	p.run("healthcheck", "run", project+"_api_2")
	c.until("/api", three)

	// One is killed with its requests in progress, and starts again.
	p.run("kill", project+"_api_2")
	c.until("/api", allBut(three, second))
	p.run("start", project+"_api_2")
	p.run("healthcheck", "run", project+"_api_2")
	c.until("/api", three)

	// The engine ends, and two containers with it.
	p.stop()
	p.run("rm", "--force", "--time", "0", project+"_api_3", project+"_api_1")
	c.until("/api", []string{second})
	p.serve()
	c.until("/api", []string{second})
	load()

	// A container that labels a host, and what other projects say about it.
	mail := p.running(dir, "mail")
	if c.host = "mail.shop.localhost"; len(c.until("/", mail)) != 1 {
		t.Errorf("%q answer, want one container", mail)
	}
	c.host = ""

	// None is left.
	p.compose(dir, "down", "--timeout", "0")
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if status, _ := fetch(t, c.http, u.url("mail.shop.localhost", "/")); status == http.StatusNotFound {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the host of a container that is gone stays")
		}
	}
	out, err := runTool(t, patience, u.env, devproxyBinary(t), "status", "-f", filepath.Join(dir, "Proxyfile"))
	if err != nil || !strings.Contains(out, "containers: Podman 4.") && !strings.Contains(out, "containers: Podman 5.") {
		t.Errorf("status: %v: %s", err, out)
	}
}

// allBut returns names without one, sorted.
func allBut(names []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == one })
}

// running returns the names by which the running containers of a service answer, sorted.
func (p *podman) running(dir, service string) []string {
	p.t.Helper()
	names := strings.Fields(p.run("ps", "--format", "{{.ID}}", "--filter", "label=com.docker.compose.project.working_dir="+dir, "--filter", "label=com.docker.compose.service="+service))
	slices.Sort(names)
	return names
}

// ask sends a request to a container, past devproxy.
func (p *podman) ask(name, path string) {
	p.t.Helper()
	address := p.run("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
	if status, body := fetch(p.t, http.DefaultClient, "http://"+address+":8000"+path); status != http.StatusOK {
		p.t.Fatalf("%s at %s: %d %s", name, address, status, body)
	}
}

// memberClient sends requests to devproxy, and learns which container answers.
type memberClient struct {
	t    *testing.T
	u    *upProcess
	http *http.Client
	host string // empty means shop.localhost
}

// until sends requests until these containers answer, and no other does. It returns them.
func (c *memberClient) until(path string, want []string) []string {
	c.t.Helper()
	const round = 30
	host := c.host
	if host == "" {
		host = "shop.localhost"
	}
	var got []string
	for late := time.Now().Add(patience); !slices.Equal(got, want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			c.t.Fatalf("%q answer at %s%s, want %q\n%s", got, host, path, want, c.u.stderr.String())
		}
		found := map[string]bool{}
		for range round {
			if status, body := fetch(c.t, c.http, c.u.url(host, path)); status == http.StatusOK {
				found[body] = true
			} else {
				found[fmt.Sprint(status)] = true
			}
		}
		got = slices.Sorted(maps.Keys(found))
	}
	return got
}

// load sends requests all the time. The function that it returns ends that; it fails if
// one has failed.
func (c *memberClient) load(path string) (end func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var group sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		group.Go(func() {
			for ; ctx.Err() == nil; sent.Add(1) {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.u.url("shop.localhost", path), http.NoBody)
				if err != nil {
					c.t.Error(err)
					return
				}
				response, err := c.http.Do(request)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					c.t.Errorf("under load: %v", err)
					return
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if ctx.Err() == nil && (err != nil || response.StatusCode != http.StatusOK) {
					c.t.Errorf("under load: %d %.200s, %v", response.StatusCode, body, err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
		c.t.Logf("%d requests under load", sent.Load())
	}
}
