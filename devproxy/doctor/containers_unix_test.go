//go:build unix

package doctor

import (
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/container/containertest"
)

// TestContainers has an engine that answers, one that has ended until it is started again,
// and none.
func TestContainers(t *testing.T) {
	engine := containertest.New(t)
	env := variables{"DOCKER_HOST": engine.Host()}
	const text = `host "shop.localhost" { upstream = service.api }
service "api" { container = "api" }`
	check := func(what, want, fix string) {
		t.Helper()
		s := subject(t, text, env)
		if len(checkUpstreams(t.Context(), s)) != 0 {
			t.Errorf("%s: containers are looked at as addresses", what)
		}
		got := checkContainers(t.Context(), s)
		if len(got) != 1 || string(got[0].State) != want || !strings.Contains(got[0].Fix, fix) || fix == "" && got[0].Fix != "" {
			t.Errorf("%s: %+v, want %s with %q", what, got, want, fix)
		}
	}
	check("an engine", "fine", "")
	engine.Stop()
	check("it has ended", "fault", "start it")
	engine.Start()
	check("it was started", "fine", "")
	env["DOCKER_HOST"] = "tcp://192.0.2.1:2375"
	check("one on another machine", "fault", "set DOCKER_HOST to a socket of this machine")
	if got := checkContainers(t.Context(), subject(t, `host "shop.localhost" { upstream = 1 }`, env)); got != nil {
		t.Errorf("a project without containers: %+v", got)
	}
}
