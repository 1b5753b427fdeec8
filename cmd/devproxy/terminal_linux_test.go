package main

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCtrlZWithoutShell does not stop for good where no shell could continue it.
func TestCtrlZWithoutShell(t *testing.T) {
	terminal, person := openTerminal(t)
	home := t.TempDir()
	cmd := exec.Command("devproxy", "up", "9", "--https", ":0", "--http", ":0")
	cmd.Dir = home
	cmd.Env = plainEnvironment("HOME="+home, "DEVPROXY_HOME="+filepath.Join(home, "state"), "XDG_RUNTIME_DIR="+home)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	shown := make(chan string, 1000)
	go func() {
		defer close(shown)
		text := make([]byte, 1024)
		for {
			n, err := person.Read(text)
			if err != nil {
				return // closed at the end of the test
			}
			shown <- string(text[:n])
		}
	}()
	wait := func(wanted string) {
		t.Helper()
		late := time.After(scriptPatience)
		for all := ""; !strings.Contains(all, wanted); {
			select {
			case text := <-shown:
				all += text
			case <-late:
				t.Fatalf("the terminal does not show %q but %q", wanted, all)
			}
		}
	}
	wait("q quit")
	if _, err := io.WriteString(person, "\x1ae"); err != nil {
		t.Fatal(err)
	}
	wait("nothing is shared here")
	if _, err := io.WriteString(person, "q"); err != nil {
		t.Fatal(err)
	}
	wait("stopped")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
