package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine of ours, package ssh's, a process's or an HTTP
// connection's outlives the tests. By the name of a fake program, it is that.
func TestMain(m *testing.M) {
	switch strings.TrimSuffix(filepath.Base(os.Args[0]), programSuffix) {
	case "cloudflared":
		os.Exit(fakeCloudflared())
	case "sharer":
		os.Exit(sharer())
	}
	os.Exit(leaktest.Run(m, "devproxy/share/provider", "x/crypto/ssh", "os/exec.(*", "net/http.(*"))
}
