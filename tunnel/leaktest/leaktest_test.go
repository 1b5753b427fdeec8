package leaktest

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Run(m, "tunnel/leaktest.")) }

func linger(begun, until chan struct{}) {
	close(begun)
	<-until
}

// TestWait: a goroutine is found by a text on its stack while it runs, and not by
// others; the caller's own is not found.
func TestWait(t *testing.T) {
	begun, until := make(chan struct{}), make(chan struct{})
	go linger(begun, until)
	<-begun
	const function = "leaktest.linger"
	if left := wait(0, []string{"nothing.", function}); strings.Count(left, function+"(") != 1 {
		t.Errorf("left are %q", left)
	}
	if left := wait(0, []string{"nothing.", "leaktest.Running"}); left != "" {
		t.Errorf("found %q", left)
	}
	close(until)
	if left := wait(patience, []string{function}); left != "" {
		t.Errorf("left are %q", left)
	}
}
