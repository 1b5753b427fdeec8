// Package leaktest fails a package's tests when goroutines outlive them. Only tests
// import it.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// patience is how long goroutines may take to end after the last test.
	patience = 5 * time.Second
	// maxStacks bounds how much of all stacks is read, in bytes.
	maxStacks = 4 << 20
)

// Run runs the tests of m and returns the exit code for os.Exit. When they pass and
// goroutines are left, it writes their stacks to standard error and returns 1.
// A goroutine counts when its stack contains one of texts, such as "devproxy/share."
// for the functions of a package. The goroutine that calls Run does not count.
func Run(m *testing.M, texts ...string) int {
	code := m.Run()
	if code != 0 {
		return code // failed tests may have left some
	}
	if left := wait(patience, texts); left != "" {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+left)
		return 1
	}
	return 0
}

// wait returns the stacks of the goroutines that do not end in time.
func wait(patience time.Duration, texts []string) string {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if left := Running(texts...); left == "" || time.Now().After(deadline) {
			return left
		}
	}
}

// Running returns the stacks of the goroutines, except the caller's, that contain
// one of texts.
func Running(texts ...string) string {
	stacks := make([]byte, maxStacks)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var left []string
	for i, stack := range strings.Split(string(stacks), "\n\n") {
		isOne := slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(stack, text) })
		if i > 0 && isOne { // the first is the caller's
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
