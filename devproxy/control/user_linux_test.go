package control

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is the user id of an ordinary user.
const nobody = 65534

// asNobody is this test binary in a role, as another user, with a copy of the
// binary where that user may look.
func asNobody(t *testing.T, role, dir, folder string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can run as another user")
		}
		t.Skip("only root can run as another user")
	}
	self, err := os.Executable()
	must(t, err)
	binary, err := os.ReadFile(self)
	must(t, err)
	public, err := os.MkdirTemp("/tmp", "c")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(public) })
	must(t, os.Chmod(public, 0o755))
	copied := filepath.Join(public, "test")
	must(t, os.WriteFile(copied, binary, 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, copied)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, runtimeVariable+"="+dir, folderVariable+"="+folder)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

func TestForeignRuntimeDirectoryIsRefused(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	must(t, os.Mkdir(dir, 0o700))
	if err := os.Chown(dir, nobody, nobody); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	refusedDir(t, dir, "belongs to another user")
}

func TestAnotherUserIsNotAnswered(t *testing.T) {
	open := shortDir(t)
	must(t, os.Chmod(open, 0o755))
	dir, folder := filepath.Join(open, "run"), "/"
	cmd := asNobody(t, "connect", dir, folder)
	in := serve(t, dir, folder)
	// Somebody has opened all that keeps others away.
	must(t, os.Chmod(dir, 0o777))
	must(t, os.Chmod(in.base+socketSuffix, 0o777))
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "refused" {
		t.Errorf("another user: %v\n%s", err, out)
	}
}

func TestAReadOnlyRuntimeDirectoryIsAnErrorWithTheFix(t *testing.T) {
	open := shortDir(t)
	cmd := func(dir string) *exec.Cmd { return asNobody(t, "up", dir, "/") }
	cmd(open) // skips where it must
	must(t, os.Chown(open, nobody, nobody))
	must(t, os.Chmod(open, 0o500))
	for _, dir := range []string{open, filepath.Join(open, "new")} {
		out, err := cmd(dir).CombinedOutput()
		if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "permission denied") || !strings.Contains(string(out), "XDG_RUNTIME_DIR") {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
}
