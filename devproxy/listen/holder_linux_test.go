package listen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// holding runs another process, in dir, that listens on the port it gives.
func holding(t *testing.T, dir string) (pid, port int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=hold")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if err := json.NewDecoder(out).Decode(&port); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, port
}

func TestHolderIsNamed(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pid, port := holding(t, dir)
	_, err = open(t, Config{HTTPS: fmt.Sprint(port), HTTP: ":0"})
	var failed *BindError
	ok := errors.As(err, &failed)
	if !ok {
		t.Fatalf("%v, want a *BindError", err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(os.Args[0])
	name = name[:min(len(name), 15)] // all the kernel keeps
	want := &Holder{PID: pid, Name: name, User: me.Username, Dir: dir,
		Text: fmt.Sprintf("%s (pid %d, %s)", name, pid, me.Username), Fix: fmt.Sprintf("kill %d", pid)}
	if diff := cmp.Diff(want, failed.Holder); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if failed.Fix != want.Fix || !strings.HasSuffix(failed.Error(), want.Text+" is using it") {
		t.Errorf("%v; fix %s", failed, failed.Fix)
	}
}

func TestListeningProcesses(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pid, port := holding(t, dir)
	for _, p := range ListeningProcesses() {
		if p.PID == pid {
			if diff := cmp.Diff([]int{port}, p.Ports); diff != "" || p.Dir != dir {
				t.Errorf("dir %s, ports -want +got:\n%s", p.Dir, diff)
			}
			return
		}
	}
	t.Errorf("process %d is not among them", pid)
}

func TestServiceOfGroup(t *testing.T) {
	for line, want := range map[string]string{
		"0::/system.slice/caddy.service":                                     "caddy",
		"0::/system.slice/system-php.slice/php@8.service":                    "php@8",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope": "",
		"0::/system.slice/docker-0a1b.scope":                                 "",
		"1:name=systemd:/system.slice/caddy.service":                         "",
	} {
		if got, ok := serviceOfGroup(line); ok && got != want || !ok && want != "" {
			t.Errorf("%s: %q %t, want %q", line, got, ok, want)
		}
	}
}

// TestReasons: the two causes with a known fix, however they are wrapped, and
// any other.
func TestReasons(t *testing.T) {
	for err, want := range map[error]Reason{
		errTaken: Taken, syscall.EADDRINUSE: Taken, syscall.EACCES: Permission, syscall.EPERM: Permission, syscall.EADDRNOTAVAIL: 0, io.EOF: 0,
	} {
		wrapped := fmt.Errorf("listen: %w", err)
		if got := reasonOf(wrapped); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
		failed := error(&BindError{Reason: want, Err: wrapped})
		if got := errors.Is(failed, errTaken); got != (want == Taken) {
			t.Errorf("%v: taken: %v", err, got)
		}
		if !errors.Is(failed, err) || errors.Is(failed, io.ErrUnexpectedEOF) {
			t.Errorf("%v: %v is not the system's error, or any", err, failed)
		}
	}
	for _, err := range []error{syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT} {
		if !isAbsent(fmt.Errorf("listen: %w", err)) || isAbsent(syscall.EADDRINUSE) || isAbsent(nil) {
			t.Errorf("%v: the address is not absent, or another is", err)
		}
	}
}
