package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// again is this program as a child in a role.
func again(t *testing.T, spec string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), specVariable+"="+spec)
	c, err := start("the child", cmd, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}

func TestChildSaysWhyItEnded(t *testing.T) {
	var m message
	err := again(t, `{"role":"nonesuch"}`).next(&m)
	if err == nil || !strings.Contains(err.Error(), `the child ended`) || !strings.Contains(err.Error(), `there is no role "nonesuch"`) {
		t.Errorf("got %v", err)
	}
}

func TestChildStops(t *testing.T) {
	c := again(t, `{"role":"upstream","addr":"127.0.0.1:0"}`)
	var m message
	if err := c.next(&m); err != nil || m.Ready == "" {
		t.Fatalf("%+v, %v", m, err)
	}
	c.stop()
	if c.err != nil {
		t.Errorf("it was killed: %v", c.err)
	}
	c.stop() // does nothing
}

func TestTail(t *testing.T) {
	var text tail
	for range 10 {
		text.Write([]byte(strings.Repeat("x", tailSize/2) + "end"))
	}
	if got := text.String(); len(got) != tailSize || !strings.HasSuffix(got, "xend") {
		t.Errorf("%d bytes kept, want the last %d", len(got), tailSize)
	}
}
