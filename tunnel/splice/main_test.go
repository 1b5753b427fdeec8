package splice

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "devproxy/tunnel/splice.")) }
