package container

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/container/containertest"
)

// TestHostileEngine has answers that are too large, cut, wrong, or never come.
func TestHostileEngine(t *testing.T) {
	t.Parallel()
	version := func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"Version": "1"}`) }
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"message": "out of\ndisk`+strings.Repeat("!", 1000)+`"}`)
		}, "it says: out ofdisk!!!"},
		"not JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "its answer is not the JSON of Docker's API"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusFound)
		}, "it answers with status 302"},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			version(w)
		}, "unexpected EOF"},
		"too large": {func(w http.ResponseWriter, r *http.Request) {
			for version(w); r.Context().Err() == nil; {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "its answer is too large: more than 4 MiB"},
		"large list": {func(w http.ResponseWriter, r *http.Request) {
			if version(w); r.URL.Path == "/version" {
				return
			}
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, "its answer is too large: more than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := List(t.Context(), options(t, serve(t, test.serve)))
			if s.Err == nil || s.Listed || !strings.Contains(s.Err.Error(), test.want) || len(s.Err.Error()) > 500 {
				t.Errorf("the snapshot is %+v, want an error with %q", s, test.want)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		host := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		want := "the container engine at " + strings.TrimPrefix(host, "unix://") + " does not answer"
		if s := List(t.Context(), options(t, host)); s.Err == nil || s.Err.Error() != want {
			t.Errorf("the snapshot is %+v", s)
		}
	})
}

// TestLimits has more containers than a snapshot has, and more of everything.
func TestLimits(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := options(t, engine.Host())
	var all []containertest.Container
	for i := range maxContainers + 1 {
		c := containertest.Container{Name: fmt.Sprintf("api-%d", i), Labels: containertest.Compose(opts.Folder, "api", i)}
		if i == 0 {
			c.Name, c.Health, c.HealthLog = strings.Repeat("n", 1000), "unhealthy", strings.Repeat("x", 10000)
			for port := range maxPorts + 1 {
				c.Exposed = append(c.Exposed, uint16(1000+port))
			}
		}
		all = append(all, c)
	}
	for i := range maxProblems + 1 {
		all = append(all, containertest.Container{Name: fmt.Sprintf("stray-%d", i), Labels: map[string]string{"devproxy.host": "x"}})
	}
	engine.Set(all...)
	s := List(t.Context(), opts)
	if s.Err != nil || len(s.Containers) != maxContainers || len(s.Problems) != maxProblems {
		t.Fatalf("%d containers, %d problems, %v", len(s.Containers), len(s.Problems), s.Err)
	}
	first := s.Containers[0]
	if len(first.Name) > maxName+len("…") || len(first.HealthLog) > maxHealthLog+len("…") || len(first.Ports) != maxPorts {
		t.Errorf("a name of %d bytes, %d of the health check, %d ports", len(first.Name), len(first.HealthLog), len(first.Ports))
	}
}

// TestOneContainer leaves out one container whose description is too large, one with such
// an image, and one that the engine can't describe.
func TestOneContainer(t *testing.T) {
	t.Parallel()
	opts := options(t, "")
	id := func(digit string) string { return strings.Repeat(digit, 64) }
	large := strings.Repeat("x", maxInspect)
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var text string
		switch r.URL.Path {
		case "/version":
			text = `{"Version": "1"}`
		case "/containers/json":
			var all []map[string]any
			for i, digit := range []string{"a", "b", "c", "d"} {
				all = append(all, map[string]any{"Id": id(digit), "Names": []string{"/" + digit}, "ImageID": digit, "Labels": containertest.Compose(opts.Folder, "api", i+1)})
			}
			_ = json.NewEncoder(w).Encode(all)
		case "/images/b/json", "/containers/" + id("a") + "/json":
			text = `{"Name": "` + large + `"}`
		case "/images/a/json", "/images/c/json", "/images/d/json":
			text = `{}`
		case "/containers/" + id("d") + "/json":
			w.WriteHeader(http.StatusInternalServerError)
			text = `{"message": "layer does not exist"}`
		case "/containers/" + id("c") + "/json":
			text = `{"State": {"Status": "running"}}`
		}
		_, _ = io.WriteString(w, text)
	}))
	opts.Getenv = getenv("DOCKER_HOST", host)
	s := List(t.Context(), opts)
	if s.Err != nil || len(s.Containers) != 1 || s.Containers[0].Name != "c" || len(s.Problems) != 3 {
		t.Fatalf("the snapshot is %+v", s)
	}
	for i, want := range []string{"the engine can't describe it: its answer is too large: more than 4 MiB", "its image can't be read", "the engine can't describe it: it says: layer does not exist"} {
		if err := s.Problems[i].Err; !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestLongEvent ends a stream whose event has no end.
func TestLongEvent(t *testing.T) {
	t.Parallel()
	events := io.MultiReader(strings.NewReader(`{"Type": "container", "Action": "start"} {"Type": "`), endless{})
	stirs := 0
	err := readEvents(events, func() { stirs++ })
	if stirs != 1 || err == nil || err.Error() != "an event has more than 1 MiB" {
		t.Errorf("after %d events: %v", stirs, err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestManyEvents lists no more often than it should while events never stop.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	lists := make(chan struct{}, 1000)
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/version":
			_, _ = io.WriteString(w, `{"Version": "1"}`)
		case "/containers/json":
			lists <- struct{}{}
			_, _ = io.WriteString(w, `[]`)
		case "/events":
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, `{"Type": "container", "Action": "start"}`); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
			}
		}
	}))
	start(t, options(t, host))
	const n = 5
	var began time.Time
	for i := range n {
		<-lists
		if i == 0 {
			began = time.Now()
		}
	}
	if took := time.Since(began); took < (n-1)*normalTimes.between {
		t.Errorf("%d lists came in %v", n, took)
	}
}

// FuzzContainer completes a container with any answer of an engine.
func FuzzContainer(f *testing.F) {
	f.Add([]byte(`{"State": {"Status": "running", "Health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": "a\nb"}]}},
		"Config": {"ExposedPorts": {"80/tcp": {}}}, "HostConfig": {"NetworkMode": "bridge"},
		"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "4000"}]}, "Networks": {"b": {"IPAddress": "172.17.0.3", "Gateway": "172.17.0.1"}}}}`))
	f.Add([]byte(`{"NetworkSettings": {"Networks": {"b": null}}}`))
	own := []netip.Addr{netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("192.168.1.5")}
	f.Fuzz(func(t *testing.T, content []byte) {
		var answer apiContainer
		if json.Unmarshal(content, &answer) != nil {
			return
		}
		c := Container{image: &apiImage{}}
		c.complete(&answer, network{own: own, direct: true, host: true})
		if !isText(c.HealthLog, maxHealthLog+len("…")) || !isText(string(c.State), maxName+len("…")) || len(c.Ports) > maxPorts {
			t.Errorf("container %+v", c)
		}
		for _, port := range append(c.Ports, Port{Number: 80}) {
			at, err := c.Reach(port.Number)
			if err != nil {
				continue
			}
			if at.Port() == 0 || at.Addr() == own[0] && at.Addr() == c.IP {
				t.Errorf("port %d is reached at %v", port.Number, at)
			}
		}
	})
}

// FuzzEvents reads any stream of events.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"Type": "container", "Action": "start"}{"Type": "network", "Action": "connect"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		stirs := 0
		if err := readEvents(strings.NewReader(string(content)), func() { stirs++ }); err == nil || stirs > len(content) {
			t.Errorf("%d events, %v", stirs, err)
		}
	})
}
