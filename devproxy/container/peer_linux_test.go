package container

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEngineOfAUser: only an engine that runs as root has networks that are those of this
// machine. One of another user, or in a virtual machine, has others with equal addresses.
func TestEngineOfAUser(t *testing.T) {
	t.Parallel()
	for _, uid := range []int{os.Geteuid(), 12345} {
		if uid != os.Geteuid() && os.Geteuid() != 0 {
			continue // this user is not root, which is the case of interest
		}
		conn, err := net.Dial("unix", listenAs(t, uid))
		if err != nil {
			t.Fatal(err)
		}
		byRoot := listensAsRoot(conn)
		_ = conn.Close() // it has carried nothing
		if byRoot != (uid == 0) {
			t.Errorf("root listens is %v for user %d", byRoot, uid)
		}
	}
	for _, test := range []struct{ byRoot, podman, direct, host bool }{
		{true, false, true, true},
		{true, true, true, true},
		{false, false, false, false},
		{false, true, false, true},
	} {
		if n := localNetwork(test.byRoot, test.podman); n.direct != test.direct || n.host != test.host {
			t.Errorf("as root %v, Podman %v: direct is %v, host is %v", test.byRoot, test.podman, n.direct, n.host)
		}
	}
}

// listenAs returns the path of a socket that listens as a user.
func listenAs(t *testing.T, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "docker.sock")
	became := make(chan error, 1)
	var listener net.Listener
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, and its user
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			became <- errno
			return
		}
		var err error
		listener, err = net.Listen("unix", path)
		became <- err
	}()
	if err := <-became; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return path
}
