package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/front"
)

// passedVariable is the runtime directory of a process that is started with sockets.
const passedVariable = "DEVPROXY_LISTEN_TEST_PASSED"

// inherited is what such a process has found.
type inherited struct {
	Error       string
	None        bool
	HTTPS, HTTP []string
	Env         []string // the variables that are left
	Inherited   string   // what a child process has on descriptor 3
	WithAddress string   // the error of a port next to the sockets
}

func inheritPassed() (any, error) {
	switch os.Getenv("TEST_LISTEN_PID") {
	case "own":
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	case "other":
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getppid()))
	}
	dir := os.Getenv(passedVariable)
	p, err := Inherit(dir)
	if err != nil {
		return inherited{Error: err.Error()}, nil
	}
	found := inherited{None: p == nil}
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "LISTEN_") {
			found.Env = append(found.Env, entry)
		}
	}
	out, _ := exec.Command("readlink", "/proc/self/fd/3").Output() // fails without one
	found.Inherited, _, _ = strings.Cut(string(out), ":")
	if p == nil {
		return found, nil
	}
	_, err = Open(context.Background(), Config{HTTPS: ":0", Passed: p, TLS: &tls.Config{}})
	found.WithAddress = fmt.Sprint(err)
	set, err := Open(context.Background(), Config{Passed: p, TLS: &tls.Config{}, Runtime: dir})
	if err != nil {
		return nil, err
	}
	for _, at := range set.HTTPS() {
		found.HTTPS = append(found.HTTPS, at.String())
	}
	for _, at := range set.HTTP() {
		found.HTTP = append(found.HTTP, at.String())
	}
	return found, set.Close()
}

// TestInherit passes sockets to a process as systemd does (sd_listen_fds(3)).
func TestInherit(t *testing.T) {
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tcp := func() *net.TCPListener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.(*net.TCPListener)
	}
	https, plain := tcp(), tcp()
	unixSocket, err := net.ListenUnix("unix", &net.UnixAddr{Name: front.SocketPath(dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unixSocket.Close() })
	client, err := net.Dial("tcp", https.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	type filer interface{ File() (*os.File, error) }
	want := inherited{HTTPS: []string{https.Addr().String()}, HTTP: []string{plain.Addr().String()}, WithAddress: ErrPassed.Error()}
	for name, test := range map[string]struct {
		pid, names string
		sockets    []filer
		want       inherited
	}{
		"named":           {"own", "http:https:front", []filer{plain, https, unixSocket}, want},
		"by order":        {"own", "", []filer{https, plain, unixSocket}, want},
		"another process": {"other", "", []filer{https, plain, unixSocket}, inherited{None: true, Inherited: "socket"}},
		"none":            {"own", "", nil, inherited{None: true}},
		"a connection": {"own", "", []filer{client.(*net.TCPConn)},
			inherited{Error: "cannot use the descriptor 3 that systemd passed: it does not listen: use ListenStream= and leave out Accept=yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), roleVariable+"=passed", passedVariable+"="+dir, "TEST_LISTEN_PID="+test.pid, fmt.Sprintf("LISTEN_FDS=%d", len(test.sockets)))
			if test.names != "" {
				cmd.Env = append(cmd.Env, "LISTEN_FDNAMES="+test.names)
			}
			for _, socket := range test.sockets {
				f, err := socket.File()
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				cmd.ExtraFiles = append(cmd.ExtraFiles, f)
			}
			var got inherited
			runJSON(t, cmd, &got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if _, err := os.Stat(front.SocketPath(dir)); err != nil {
		t.Errorf("the socket of systemd was removed: %v", err)
	}
}

// peers is what clients with different addresses get from a wildcard socket.
type peers struct{ Loopback, Other string }

// askWildcard has two clients connect to a socket on all addresses.
func askWildcard() (any, error) {
	if out, err := exec.Command("ip", "address", "add", "192.0.2.1/32", "dev", "lo").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := raiseLoopback(); err != nil {
		return nil, err
	}
	set, err := Open(context.Background(), Config{HTTPS: ":0", HTTP: ":0", TLS: &tls.Config{}})
	if err != nil {
		return nil, err
	}
	server := &http.Server{ConnContext: ConnContext, ConnState: ConnState, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	})}
	go server.Serve(set)
	socket, err := net.Listen("tcp4", ":0")
	if err != nil {
		return nil, err
	}
	set.wg.Go(func() { set.acceptLoop(socket, set.plain) })
	ask := func(host string) string {
		c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(boundTo(socket).Port())))
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(c)
		_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		return body
	}
	return peers{ask("127.0.0.1"), ask("192.0.2.1")}, nil
}

// TestWildcard: a client with another address than a loopback address gets no answer from
// a socket on all addresses.
func TestWildcard(t *testing.T) {
	needRoot(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=wildcard")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	var got peers
	runJSON(t, cmd, &got)
	if want := (peers{Loopback: "hello"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestObstacle: why the setting cannot be changed from here.
func TestObstacle(t *testing.T) {
	for _, test := range []struct {
		missing  error
		readOnly bool
		want     string
	}{
		{nil, false, ""},
		{errors.New("denied"), false, ""},
		{nil, true, "/proc/sys is read-only here, as in most containers: start the container with --sysctl net.ipv4.ip_unprivileged_port_start=80"},
		{fs.ErrNotExist, false, "this kernel has no setting for it; in WSL, use WSL 2"},
	} {
		if got := obstacleOf(443, test.missing, test.readOnly); got != test.want {
			t.Errorf("%v, %v: %q, want %q", test.missing, test.readOnly, got, test.want)
		}
	}
}
