package machine

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine outlives the tests.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "devproxy/", "net/http.")) }
