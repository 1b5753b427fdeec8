package share

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain runs the tests, or runs this binary as a benchmark's child process,
// and fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	if text := os.Getenv(specVariable); text != "" {
		if err := runRole(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	runtime.LockOSThread() // as main does
	os.Exit(leaktest.Run(m, "cmd/bench/", "tunnel/wan."))
}
