//go:build unix

package front

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain runs the tests, or runs this binary as a project, and fails when a
// goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	if os.Getenv(projectVariable) != "" {
		os.Exit(runProject())
	}
	os.Exit(leaktest.Run(m, "devproxy/front.", "net/http."))
}
