package rewrite

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when the coroutine of a decoder outlives the tests.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "devproxy/devproxy/rewrite.")) }
