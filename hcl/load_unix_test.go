//go:build unix

package hcl

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUnreadable runs itself as an ordinary user if it is root, because root can
// read every file.
func TestUnreadable(t *testing.T) {
	if path := os.Getenv("HCL_TEST_UNREADABLE"); path != "" {
		_, _, err := Load(path, Options{})
		var unreadable *FileError
		if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &unreadable) || !strings.Contains(unreadable.Fix, "chmod") {
			t.Errorf("%v", err)
		}
		found, err := Find(filepath.Dir(path))
		if err != nil || found != path {
			t.Errorf("Find: %s, %v", found, err)
		}
		return
	}
	// Not t.TempDir: other users cannot enter it.
	dir, err := os.MkdirTemp("", "unreadable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := write(t, filepath.Join(dir, "Proxyfile"), smallest)
	for name, mode := range map[string]fs.FileMode{path: 0, dir: 0o755} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(testBinary(t, dir), "-test.run=^TestUnreadable$")
	cmd.Env = append(os.Environ(), "HCL_TEST_UNREADABLE="+path)
	cmd.Dir = dir
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// testBinary copies this test to a folder where every user can run it.
func testBinary(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "hcl.test")
	if err := os.WriteFile(binary, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestPipe checks that Load does not read a named pipe, which would wait forever.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Proxyfile")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := Load(path, Options{})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotRegular) {
			t.Errorf("%v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Load waits for the other end of a pipe")
	}
	if _, _, err := Load("/dev/null", Options{}); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a device: %v", err)
	}
}

func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "shared", "Proxyfile"), smallest)
	link := filepath.Join(dir, "Proxyfile")
	if err := os.Symlink(filepath.Join("shared", "Proxyfile"), link); err != nil {
		t.Fatal(err)
	}
	file, diags, err := Load(link, Options{})
	if err != nil || len(diags) > 0 || file.Dir != dir {
		t.Errorf("%v %v: paths are relative to the link's folder, not %s", err, diags, file.Dir)
	}
}
