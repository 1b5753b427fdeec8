package share

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// again is this program as a child in a role.
func again(t *testing.T, spec string) *harness.Child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), specVariable+"="+spec)
	c, err := harness.Start("the child", cmd, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func TestChildSaysWhyItEnded(t *testing.T) {
	var m message
	err := again(t, `{"role":"nonesuch"}`).Next(&m)
	if err == nil || !strings.Contains(err.Error(), `the child ended`) || !strings.Contains(err.Error(), `unknown role "nonesuch"`) {
		t.Errorf("got %v", err)
	}
}

func TestChildStops(t *testing.T) {
	c := again(t, `{"role":"upstream","addr":"127.0.0.1:0"}`)
	var m message
	if err := c.Next(&m); err != nil || m.Ready == "" {
		t.Fatalf("%+v, %v", m, err)
	}
	c.Stop()
	if err := c.Err(); err != nil {
		t.Errorf("it was killed: %v", err)
	}
	c.Stop() // does nothing
}
