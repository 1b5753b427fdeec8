package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when a goroutine of ours outlives the tests. By the name of a fake
// program, it is that.
func TestMain(m *testing.M) {
	switch strings.TrimSuffix(filepath.Base(os.Args[0]), programSuffix) {
	case "cloudflared":
		os.Exit(fakeCloudflared())
	case "sharer":
		os.Exit(sharer())
	}
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

// ours are the goroutines, but for this one, with our code, package ssh's, a
// process's or an HTTP connection's on their stack.
func ours() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for i, stack := range strings.Split(string(stacks), "\n\n") {
		if i > 0 && (strings.Contains(stack, "devproxy/share/provider") || strings.Contains(stack, "x/crypto/ssh") || strings.Contains(stack, "os/exec.(*") || strings.Contains(stack, "net/http.(*")) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
