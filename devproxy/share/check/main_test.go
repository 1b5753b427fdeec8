package check

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine of the check outlives it.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "share/check.")) }
