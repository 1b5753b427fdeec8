package main

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/hcl"
)

// TestStillServing: a save with a mistake names the last save that is served, also if
// that changed no route.
func TestStillServing(t *testing.T) {
	var out bytes.Buffer
	c, err := openConsole(&streams{Out: &out, Err: &out}, upOptions{}, source{name: "Proxyfile"}, &atomic.Pointer[hcl.Mask]{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.end(nil)
	at := func(second int) time.Time { return time.Date(2026, 1, 2, 14, 0, second, 0, time.Local) }
	c.emit(appliedEvent{save: devproxy.Save{At: at(1), Applied: &devproxy.Applied{}}})
	c.unchanged(at(2))
	c.emit(newRejected(devproxy.Save{At: at(3), Diagnostics: hcl.Diagnostics{{Severity: hcl.Error, Summary: "wrong"}}}, true))
	if !strings.HasSuffix(out.String(), "1 error; still serving the Proxyfile of 14:00:02\n") {
		t.Error(out.String())
	}
}
