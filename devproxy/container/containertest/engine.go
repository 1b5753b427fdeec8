// Package containertest is an engine for tests: it speaks as much of Docker's API on a
// Unix socket as package container uses. Only tests import it.
package containertest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Container is a container of an Engine, in the terms of `docker run`.
type Container struct {
	// Name is unique. The ID is made up from it if it is empty.
	Name, ID string
	// State is "running" if it is empty.
	State string
	// Health is empty, "starting", "healthy" or "unhealthy". HealthLog is what the last
	// check printed, which failed.
	Health, HealthLog string
	// Labels are the container's labels, without those that only its image has.
	Labels map[string]string
	// ImageLabels are those of its image. NoImage is true if the image is gone.
	ImageLabels map[string]string
	NoImage     bool
	// Exposed are the TCP ports that the image exposes.
	Exposed []uint16
	// Published maps TCP ports of the container to ports on 127.0.0.1.
	Published map[uint16]uint16
	// NetworkMode is "bridge" if it is empty.
	NetworkMode string
	// IP is the address in a network whose gateway is Gateway; both may be empty.
	IP, Gateway string
}

// Compose returns the labels that Compose sets on the container number of a service of
// the project in folder.
func Compose(folder, service string, number int) map[string]string {
	return map[string]string{
		"com.docker.compose.project":             strings.ToLower(filepath.Base(folder)),
		"com.docker.compose.project.working_dir": folder,
		"com.docker.compose.service":             service,
		"com.docker.compose.container-number":    strconv.Itoa(number),
	}
}

// Engine is a running engine. Make one with [New].
type Engine struct {
	t      testing.TB
	socket string
	stop   func()

	mu         sync.Mutex
	containers map[string]Container // by ID
	followers  map[chan string]bool
	sent       []event // all events
}

type event struct {
	at   int64 // in seconds since 1970
	text string
}

// New returns an Engine without containers, which ends with the test.
func New(t testing.TB) *Engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{t: t, socket: filepath.Join(dir, "docker.sock"), containers: map[string]Container{}, followers: map[chan string]bool{}}
	e.Start()
	t.Cleanup(func() {
		e.Stop()
		_ = os.RemoveAll(dir) // the system's temporary folder
	})
	return e
}

// Host returns the value for DOCKER_HOST.
func (e *Engine) Host() string { return "unix://" + e.socket }

// Set replaces all containers, and sends an event for each that is different.
func (e *Engine) Set(all ...Container) { e.set(true, all) }

// SetSilently replaces all containers without an event.
func (e *Engine) SetSilently(all ...Container) { e.set(false, all) }

func (e *Engine) set(tell bool, all []Container) {
	next := map[string]Container{}
	for _, c := range all {
		c.State = or(c.State, "running")
		c.NetworkMode = or(c.NetworkMode, "bridge")
		c.ID = or(c.ID, digest(c.Name))
		next[c.ID] = c
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() { e.containers = next }()
	if !tell {
		return
	}
	for id := range e.containers {
		if _, found := next[id]; !found {
			e.send("destroy", id)
		}
	}
	for id, c := range next {
		if old, found := e.containers[id]; !found {
			e.send("start", id)
		} else if !reflect.DeepEqual(old, c) {
			e.send("health_status: "+c.Health, id)
		}
	}
}

// send sends an event to all who follow. The caller holds mu.
func (e *Engine) send(action, id string) {
	text := fmt.Sprintf(`{"Type":"container","Action":%q,"Actor":{"ID":%q}}`+"\n", action, id)
	e.sent = append(e.sent, event{time.Now().Unix(), text})
	for follower := range e.followers {
		follower <- text
	}
}

// Start listens again after Stop.
func (e *Engine) Start() {
	e.t.Helper()
	listener, err := net.Listen("unix", e.socket)
	if err != nil {
		e.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"Version": "28.2.2", "Components": []any{map[string]any{"Name": "Engine"}}})
	})
	mux.HandleFunc("GET /containers/json", e.list)
	mux.HandleFunc("GET /containers/{id}/json", e.inspect)
	mux.HandleFunc("GET /images/{id}/json", e.image)
	mux.HandleFunc("GET /events", e.events)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	e.stop = func() {
		_ = listener.Close() // the server may not know it yet
		_ = server.Close()
		<-done
	}
}

// Stop closes the socket and all connections, as when the engine ends. Start undoes it.
func (e *Engine) Stop() { e.stop() }

func (e *Engine) snapshot() []Container {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.containers))
}

func (e *Engine) list(w http.ResponseWriter, _ *http.Request) {
	all := []any{}
	for _, c := range e.snapshot() {
		labels := maps.Clone(c.ImageLabels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, c.Labels)
		all = append(all, map[string]any{"Id": c.ID, "Names": []string{"/" + c.Name}, "ImageID": "sha256:" + c.ID, "Labels": labels, "State": c.State})
	}
	answer(w, all)
}

func (e *Engine) find(w http.ResponseWriter, id string) (Container, bool) {
	e.mu.Lock()
	c, found := e.containers[id]
	e.mu.Unlock()
	if !found {
		w.WriteHeader(http.StatusNotFound)
		answer(w, map[string]string{"message": "No such container: " + id})
	}
	return c, found
}

func (e *Engine) image(w http.ResponseWriter, r *http.Request) {
	c, found := e.find(w, strings.TrimPrefix(r.PathValue("id"), "sha256:"))
	switch {
	case !found:
	case c.NoImage:
		w.WriteHeader(http.StatusNotFound)
		answer(w, map[string]string{"message": "No such image"})
	default:
		answer(w, map[string]any{"Config": map[string]any{"Labels": c.ImageLabels}})
	}
}

func (e *Engine) inspect(w http.ResponseWriter, r *http.Request) {
	c, found := e.find(w, r.PathValue("id"))
	if !found {
		return
	}
	exposed, ports := map[string]any{}, map[string]any{}
	for _, port := range c.Exposed {
		exposed[fmt.Sprintf("%d/tcp", port)] = struct{}{}
		ports[fmt.Sprintf("%d/tcp", port)] = nil
	}
	for port, published := range c.Published {
		ports[fmt.Sprintf("%d/tcp", port)] = []any{map[string]string{"HostIp": "127.0.0.1", "HostPort": strconv.Itoa(int(published))}}
	}
	state := map[string]any{"Status": c.State}
	if c.Health != "" {
		var log []any
		if c.HealthLog != "" {
			log = append(log, map[string]any{"ExitCode": 1, "Output": c.HealthLog})
		}
		state["Health"] = map[string]any{"Status": c.Health, "Log": log}
	}
	answer(w, map[string]any{
		"Id": c.ID, "Name": "/" + c.Name, "Created": "2026-01-02T03:04:05.123456789Z", "State": state,
		"Config":     map[string]any{"ExposedPorts": exposed},
		"HostConfig": map[string]any{"NetworkMode": c.NetworkMode},
		"NetworkSettings": map[string]any{
			"Ports":    ports,
			"Networks": map[string]any{"bridge": map[string]string{"IPAddress": c.IP, "Gateway": c.Gateway, "GlobalIPv6Address": "", "IPv6Gateway": ""}},
		},
	})
}

func (e *Engine) events(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if err != nil {
		since = time.Now().Unix() + 1
	}
	e.mu.Lock()
	events := make(chan string, len(e.sent)+1000)
	for _, event := range e.sent {
		if event.at >= since {
			events <- event.text
		}
	}
	e.followers[events] = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.followers, events)
		e.mu.Unlock()
	}()
	flush := http.NewResponseController(w).Flush
	for {
		if flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case event := <-events:
			if _, err := w.Write([]byte(event)); err != nil {
				return
			}
		}
	}
}

func answer(w http.ResponseWriter, value any) {
	_ = json.NewEncoder(w).Encode(value) // the client sees that it is cut
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}
