package watch

import (
	"flag"
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine of ours, or of the
// system's watcher, outlives the tests.
func TestMain(m *testing.M) {
	// The tests mostly wait, so that a core has time for many.
	flag.Parse()
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	os.Exit(leaktest.Run(m, "devproxy/watch.", "fsnotify."))
}
