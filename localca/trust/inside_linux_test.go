package trust

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	// insideVariable names the test that runs in its own process.
	insideVariable = "TRUST_TEST_INSIDE"
	// dialVariable is an address: the test binary is then a Go program that
	// connects there with the roots it finds by itself.
	dialVariable = "TRUST_TEST_DIAL"
	// nobody is the user id of an ordinary user.
	nobody = 65534
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(dialVariable); addr != "" {
		conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: "localhost"})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		conn.Close()
		return
	}
	os.Exit(m.Run())
}

// inside reports whether this is the test's own process; otherwise it runs one,
// made as attr says, and reports what it reported.
func inside(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		missingHere(t, "only root can change who it is and what it has mounted")
	}
	cmd := exec.CommandContext(t.Context(), copyOfTest(t), "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name())
	cmd.Dir = "/"
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		missingHere(t, "this system lets no test mount in a namespace of its own")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// copyOfTest is the test binary where every user may run it.
func copyOfTest(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "trust")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "trust.test")
	if err := errors.Join(os.WriteFile(path, binary, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// privateSystem gives this process, which has a mount namespace of its own, a
// copy of the system's store. Everything else becomes read-only, so that no
// mistake here reaches the real one.
func privateSystem(t *testing.T) {
	t.Helper()
	mount := func(source, target, kind string, flags uintptr) {
		t.Helper()
		if err := syscall.Mount(source, target, kind, flags, ""); err != nil {
			t.Fatalf("mount %s: %v", target, err)
		}
	}
	mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE)
	mount("tmpfs", os.TempDir(), "tmpfs", 0)
	for _, dir := range []string{"/etc/ssl", "/usr/local/share/ca-certificates"} {
		copied, err := os.MkdirTemp("", "system")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "cp", "-a", dir+"/.", copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		mount(copied, dir, "", syscall.MS_BIND)
	}
	// The hooks of update-ca-certificates change other programs' stores.
	if hooks := "/etc/ca-certificates/update.d"; exists(hooks) {
		mount("tmpfs", hooks, "tmpfs", 0)
	}
	fewRoots(t, mount)
	mount("", "/", "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY)
	if err := os.WriteFile("/usr/local/share/trust-test", nil, 0o600); !errors.Is(err, syscall.EROFS) {
		os.Remove("/usr/local/share/trust-test")
		t.Fatalf("the real system could be changed: %v", err)
	}
	// Whatever state the machine was in, an update must change nothing by itself.
	if out, err := exec.CommandContext(t.Context(), "update-ca-certificates", "--fresh").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// fewRoots leaves three public roots in the configuration of
// update-ca-certificates: it takes seconds for all of them.
func fewRoots(t *testing.T, mount func(source, target, kind string, flags uintptr)) {
	t.Helper()
	const path = "/etc/ca-certificates.conf"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var few []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "mozilla/") && len(few) < 3 {
			few = append(few, line)
		}
	}
	short := filepath.Join(t.TempDir(), "few.conf")
	if err := os.WriteFile(short, []byte(strings.Join(few, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	mount(short, path, "", syscall.MS_BIND)
}
