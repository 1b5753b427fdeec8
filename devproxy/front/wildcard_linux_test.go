package front

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWildcard: on a socket of all addresses, a client with another address than a
// loopback address gets nothing, and the projects are served.
func TestWildcard(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root to make network namespaces")
		}
		t.Skip("needs root to make network namespaces")
	}
	runtime.LockOSThread() // the thread ends with the test
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"address", "add", "192.0.2.1/32", "dev", "lo"}} {
		out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var wildcard []*os.File
	for range 2 {
		l, err := net.Listen("tcp4", ":0")
		must(t, err)
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		must(t, err)
		defer f.Close()
		wildcard = append(wildcard, f)
	}
	dir := shortDir(t)
	own, err := net.ListenUnix("unix", &net.UnixAddr{Name: SocketPath(dir), Net: "unix"})
	must(t, err)
	defer own.Close()
	f, err := own.File()
	must(t, err)
	defer f.Close()
	a := begin(t, dir, append(wildcard, f)...).joined().named("a.localhost")
	_, port, _ := net.SplitHostPort(a.http)
	for host, want := range map[string]string{"127.0.0.1": a.pid(), "192.0.2.1": ""} {
		var d net.Dialer
		c, err := d.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
		must(t, err)
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(c)
		if _, body, _ := strings.Cut(string(answer), "\r\n\r\n"); body != want {
			t.Errorf("from %s: %q, want the body %q", host, answer, want)
		}
	}
}
