package control

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain runs the tests, or runs this binary as a test's child process, and
// fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(runRole(role))
	}
	os.Exit(leaktest.Run(m, "devproxy/control.", "net/http."))
}
