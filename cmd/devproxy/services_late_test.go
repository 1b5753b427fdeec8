package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/service"
)

// TestLateServiceIsPrinted says why a service is not ready, on the terminal and in status.
func TestLateServiceIsPrinted(t *testing.T) {
	t.Parallel()
	before := service.State{Name: "web", Phase: service.Starting, Since: time.Now().Add(-12 * time.Second), PID: 1, Port: 3000}
	state := before
	state.Late = "GET / on port 3000 returns 404; expected 204"
	var out, err bytes.Buffer
	s := &streams{Out: &out, Err: &err}
	newServiceEvent(state, before).print(&reporter{streams: s})
	if want := `^\d\d:\d\d:\d\d  web is not ready after 12 s: GET / on port 3000 returns 404; expected 204\n$`; !regexp.MustCompile(want).MatchString(err.String()) {
		t.Errorf("printed %q", err.String())
	}
	if want := "pid 1, :3000, not ready: GET / on port 3000 returns 404; expected 204"; serviceDetail(serviceStatus(state)) != want {
		t.Errorf("status has %q", serviceDetail(serviceStatus(state)))
	}
}
