package share

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests, or what a benchmark has this binary do as another
// process, and fails when a goroutine of ours outlives the tests.
func TestMain(m *testing.M) {
	if text := os.Getenv(specVariable); text != "" {
		if err := runRole(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	runtime.LockOSThread() // as main does
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
		if i > 0 && (strings.Contains(stack, "cmd/bench/") || strings.Contains(stack, "tunnel/wan.")) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
