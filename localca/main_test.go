package localca

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// With these set the test binary is another process that opens a CA: see openChild.
const (
	openVariable  = "LOCALCA_TEST_OPEN"   // the folder
	dieAtVariable = "LOCALCA_TEST_DIE_AT" // the step, from 1, before which it kills itself
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(openVariable); dir != "" {
		os.Exit(openChild(dir))
	}
	os.Exit(m.Run())
}

// openChild waits for the end of its standard input, opens the CA in dir, and
// prints its serial number and whether it is fresh.
func openChild(dir string) int {
	io.Copy(io.Discard, os.Stdin)
	s, err := newStore(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dieAt, _ := strconv.Atoi(os.Getenv(dieAtVariable))
	step := 0
	s.steps = func(string) error {
		if step++; step == dieAt {
			self, _ := os.FindProcess(os.Getpid())
			self.Kill() // SIGKILL: nothing deferred runs
			time.Sleep(time.Minute)
		}
		return nil
	}
	ca, err := s.open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fresh, _ := ca.Fresh()
	fmt.Println(ca.Root().SerialNumber, fresh)
	return 0
}

// childCommand is openChild, not yet started.
func childCommand(t *testing.T, dir string, dieAt int) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), openVariable+"="+dir, dieAtVariable+"="+strconv.Itoa(dieAt))
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// needTool finds a program. Without it the test is skipped, except in CI.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missingHere(t, name+" is not installed: "+err.Error())
	}
	return path
}

// missingHere skips a test for what the machine lacks; in CI that is a failure.
func missingHere(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
