package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/devproxy/devproxy/devproxy/container/containertest"
)

// enginesKey is the key of a transcript's *scriptEngine.
type enginesKey struct{}

// scriptEngine is the container engine of a transcript. The server of a container answers
// with the name of the container.
type scriptEngine struct {
	engine  *containertest.Engine
	servers map[string]uint16 // ports by name
}

// scriptTB lets a transcript own an engine.
type scriptTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (t scriptTB) Helper()          {}
func (t scriptTB) Cleanup(f func()) { t.ts.Defer(f) }
func (t scriptTB) Fatal(all ...any) { t.ts.Fatalf("%s", fmt.Sprint(all...)) }

// scriptContainers is `engine CONTAINER...`, `engine stop` or `engine start`. The first
// use starts an engine and sets DOCKER_HOST. Each argument is a container of the project
// in the current folder: "SERVICE NUMBER KEY=VALUE...", where the key is state, health or
// a label. It exposes port 8080, which is published.
func scriptContainers(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: engine CONTAINER...")
	}
	e := ts.Value(enginesKey{}).(*scriptEngine)
	if e.engine == nil {
		e.engine, e.servers = containertest.New(scriptTB{ts: ts}), map[string]uint16{}
		ts.Setenv("DOCKER_HOST", e.engine.Host())
	}
	switch strings.Join(args, " ") {
	case "stop":
		e.engine.Stop()
		return
	case "start":
		e.engine.Start()
		return
	}
	var all []containertest.Container
	for _, arg := range args {
		fields := strings.Fields(arg)
		number, err := strconv.Atoi(fields[1])
		ts.Check(err)
		c := containertest.Container{Name: fmt.Sprintf("shop-%s-%d", fields[0], number), Labels: containertest.Compose(ts.MkAbs("."), fields[0], number), Exposed: []uint16{8080}}
		c.Published = map[uint16]uint16{8080: e.serve(ts, c.Name)}
		for _, field := range fields[2:] {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "state":
				c.State = value
			case "health":
				c.Health = value
			default:
				c.Labels[key] = value
			}
		}
		all = append(all, c)
	}
	e.engine.Set(all...)
}

// serve returns the port of the server of a container.
func (e *scriptEngine) serve(ts *testscript.TestScript, name string) uint16 {
	if port := e.servers[name]; port != 0 {
		return port
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) }))
	ts.Defer(server.Close)
	e.servers[name] = uint16(server.Listener.Addr().(*net.TCPAddr).Port)
	return e.servers[name]
}
