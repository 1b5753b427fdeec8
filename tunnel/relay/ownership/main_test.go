package ownership

import (
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "relay/ownership.")) }
