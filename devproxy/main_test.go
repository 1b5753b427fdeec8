package devproxy

import (
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
	if left := goroutinesLeft(); left != "" {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		code = max(code, 1)
	}
	os.Exit(code)
}

// goroutinesLeft gives those that are still there after a while.
func goroutinesLeft() (left string) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if left = ours(); left == "" {
			return ""
		}
	}
	return left
}

// ours are the goroutines, but for this one, with code of this module or a
// server's connection on their stack.
func ours() string {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for i, stack := range strings.Split(string(stacks), "\n\n") {
		if i > 0 && (strings.Contains(stack, "devproxy/devproxy") || strings.Contains(stack, "net/http.(*conn)")) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
