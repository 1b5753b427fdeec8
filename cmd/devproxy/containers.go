package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/container"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// firstContainers is how long an `up` or a save waits for the first answer of the
	// engine, so that the routes of containers are there from the beginning.
	firstContainers = 2 * time.Second
	// maxNoted is how many notes about labels a person is told in one run.
	maxNoted = 1000
)

// containers follows the containers of an `up`, as long as its plan uses them.
type containers struct {
	folder string
	moved  chan struct{} // there is something new for the plan

	mu    sync.Mutex
	stop  func()           // ends the watcher and waits for it; nil while none runs
	known *plan.Containers // nil while none runs
	last  container.Snapshot

	// The fields below belong to the loop.
	groups map[string]containersEvent // as a person was told
	noted  map[string]bool
	engine string // the trouble with the engine that a person was told
}

func newContainers(folder string) *containers {
	return &containers{folder: folder, moved: make(chan struct{}, 1), noted: map[string]bool{}}
}

// of implements devproxy.Project.Containers.
func (c *containers) of(agreed *plan.Plan) *plan.Containers {
	if !agreed.UsesContainers() {
		c.close()
		return nil
	}
	c.mu.Lock()
	running := c.stop != nil
	c.mu.Unlock()
	if !running {
		c.start()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// start watches the containers, and waits a moment for the first answer.
func (c *containers) start() {
	ctx, cancel := context.WithCancel(context.Background())
	watcher := container.New(containerOptions(c.folder))
	first := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { watcher.Run(ctx) })
	group.Go(func() { c.follow(ctx, watcher, first) })
	c.mu.Lock()
	c.stop = func() { cancel(); group.Wait() }
	c.known = knownContainers(watcher.Snapshot())
	c.mu.Unlock()
	late := time.NewTimer(firstContainers)
	defer late.Stop()
	select {
	case <-first:
	case <-late.C:
	}
}

// containerOptions say whose containers are meant, and which engine.
func containerOptions(folder string) container.Options {
	home, _ := os.UserHomeDir() // empty if it is not known
	return container.Options{Folder: folder, Getenv: os.Getenv, Home: home}
}

// follow passes on what the watcher reports until ctx ends. It closes first after the
// first report.
func (c *containers) follow(ctx context.Context, watcher *container.Watcher, first chan struct{}) {
	for begun := false; ; begun = true {
		select {
		case <-ctx.Done():
			return
		case <-watcher.Changes():
		}
		snapshot := watcher.Snapshot()
		c.mu.Lock()
		c.last, c.known = snapshot, knownContainers(snapshot)
		c.mu.Unlock()
		if !begun {
			close(first)
		}
		select {
		case c.moved <- struct{}{}:
		default:
		}
	}
}

// close ends the watcher, if one runs.
func (c *containers) close() {
	c.mu.Lock()
	stop := c.stop
	c.stop, c.known, c.last = nil, nil, container.Snapshot{}
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// status is what is known of the engine; nil if the plan uses none.
func (c *containers) status() *control.Engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop == nil {
		return nil
	}
	e := &control.Engine{Name: c.last.Engine.Name, Version: c.last.Engine.Version, Address: c.last.Engine.Address, Source: c.last.Engine.Source}
	if c.last.Err != nil {
		e.Error, e.Fix = devproxy.Explain(c.last.Err)
	}
	return e
}

// knownContainers is a snapshot as the input of a plan.
func knownContainers(s container.Snapshot) *plan.Containers {
	known := &plan.Containers{Compose: "docker compose"}
	if s.Engine.Name == "Podman" {
		known.Compose = "podman compose"
	}
	switch {
	case s.Listed:
	case s.Err != nil:
		known.Problem, known.Fix = devproxy.Explain(s.Err)
	default:
		known.Problem = "the container engine has not answered yet"
	}
	for _, one := range s.Containers {
		known.All = append(known.All, plan.Container{
			Name: one.Name, Service: one.Service, State: string(one.State), Health: string(one.Health), HealthLog: one.HealthLog,
			Host: one.Host, Path: one.Path, Port: one.Port,
			Reach: func(port uint16) (addr, problem, fix string) {
				to, err := one.Reach(port)
				if err != nil {
					problem, fix = devproxy.Explain(err)
					return "", problem, fix
				}
				return to.String(), "", ""
			},
		})
	}
	for _, problem := range s.Problems {
		text := problem.Container + ": " + problem.Err.Error()
		if failed, ok := errors.AsType[*failure.Error](problem.Err); ok && failed.Fix != "" {
			text += "; " + failed.Fix
		}
		known.Notes = append(known.Notes, plan.Note{Text: "container " + text})
	}
	return known
}

// begin notes what the banner has shown, and returns what is left to say.
func (c *containers) begin(p *plan.Plan) []event {
	c.groups = groupsOf(p)
	return c.notes(p)
}

// changed returns what has changed since the last plan, as events.
func (c *containers) changed(p *plan.Plan) []event {
	now := groupsOf(p)
	var events []event
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if now[name] != c.groups[name] {
			events = append(events, now[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		if _, still := now[name]; !still {
			events = append(events, containersEvent{Event: "containers", Name: name, Detail: "container " + name + " was removed"})
		}
	}
	c.groups = now
	return append(events, c.notes(p)...)
}

// notes returns what is new about labels and the engine.
func (c *containers) notes(p *plan.Plan) []event {
	var events []event
	if status := c.status(); status != nil && status.Error != c.engine {
		if c.engine = status.Error; status.Error != "" {
			events = append(events, noteEvent{"note", "containers: " + status.Error, status.Fix})
		}
	}
	for _, note := range p.Notes() {
		if len(c.noted) < maxNoted && !c.noted[note.Text] {
			c.noted[note.Text] = true
			events = append(events, noteEvent{"note", note.Text, ""})
		}
	}
	return events
}

// containersEvent: the containers of a service have changed.
type containersEvent struct {
	Event     string `json:"event"`
	Name      string `json:"name"`                // of the service of compose
	Running   int    `json:"running"`             // those that get requests
	Unhealthy int    `json:"unhealthy,omitempty"` // of those that run
	Detail    string `json:"detail,omitempty"`    // why none runs
}

func (e containersEvent) print(r *reporter) {
	text := printable(e.Name) + ": "
	switch {
	case e.Running > 0:
		text += r.green(count(e.Running, "container"))
		if e.Unhealthy > 0 {
			text += ", " + r.yellow(fmt.Sprintf("%d not healthy", e.Unhealthy))
		}
	default:
		text = r.yellow(printable(e.Detail))
	}
	r.event(time.Now(), text)
}

func (e containersEvent) serviceName() string { return e.Name }

// noteEvent: something needs attention that is not a mistake of the Proxyfile.
type noteEvent struct {
	Event string `json:"event"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"`
}

func (e noteEvent) print(r *reporter) {
	r.event(time.Now(), printable(e.Text))
	if e.Fix != "" {
		const indent = len("15:04:05  ")
		r.hang(r.Err, strings.Repeat(" ", indent), indent, printable(e.Fix))
	}
}

// groupsOf returns the groups of containers in a plan, by name.
func groupsOf(p *plan.Plan) map[string]containersEvent {
	groups := map[string]containersEvent{}
	for _, group := range p.Groups() {
		groups[group.Name] = containersEvent{"containers", group.Name, group.Members, group.Unhealthy, group.Absent}
	}
	return groups
}

// printEngine prints a line about the engine that the project uses, if it uses one.
func printEngine(s *streams, engine *control.Engine) {
	if engine == nil {
		return
	}
	s.paragraph("containers: " + printable(engine.Text()))
	if engine.Fix != "" {
		s.indented(len("  "), printable(engine.Fix))
	}
}
