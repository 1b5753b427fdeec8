package listen

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain runs the tests, or what a test has this binary do as another
// process, and fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(runRole(role))
	}
	os.Exit(leaktest.Run(m, "devproxy/listen.", "net/http.(*conn)"))
}
