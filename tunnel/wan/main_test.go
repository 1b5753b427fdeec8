package wan

import (
	"errors"
	"os"
	"testing"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// TestMain fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "tunnel/wan.")) }

// mustOpen opens a link that the test closes.
func mustOpen(t *testing.T, c Config) *Link {
	t.Helper()
	l, err := Open(t.Context(), c)
	if errors.Is(err, ErrUnsupported) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
