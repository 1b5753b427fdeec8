package container

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine of ours, or a connection to an engine, outlives the
// tests.
func TestMain(m *testing.M) {
	os.Exit(leaktest.Run(m, "devproxy/container.", "devproxy/container/containertest.", "net/http.(*persistConn)"))
}
