package wan

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		code = leaked()
	}
	os.Exit(code)
}

func leaked() int {
	var dump string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if dump = ours(); dump == "" {
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+dump)
	return 1
}

// ours are the goroutines, but for this one, with our code on their stack.
func ours() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for i, stack := range strings.Split(string(stacks), "\n\n") {
		if i > 0 && strings.Contains(stack, "tunnel/wan.") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

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
