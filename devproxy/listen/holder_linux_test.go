package listen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// holding runs another process, in dir and with files, that listens on the port
// it gives.
func holding(t *testing.T, dir string, files ...*os.File) (pid, port int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=hold")
	cmd.Dir, cmd.Stderr, cmd.ExtraFiles = dir, os.Stderr, files
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
		Text: fmt.Sprintf("%s (pid %d, %s)", name, pid, me.Username), Fix: fmt.Sprintf("kill %d", pid), Stops: true}
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

func TestServiceIn(t *testing.T) {
	for groups, want := range map[string]string{
		"0::/system.slice/caddy.service":                                     "caddy",
		"0::/system.slice/system-php.slice/php@8.service\n":                  "php@8",
		"1:name=systemd:/x\n0::/system.slice/caddy.service\n":                "caddy",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope": "",
		"0::/user.slice/user-1000.slice/user@1000.service":                   "",
		"0::/system.slice/docker-0a1b.scope":                                 "",
		"1:name=systemd:/system.slice/caddy.service":                         "",
		"0::/": "",
		"":     "",
	} {
		if got := serviceIn(groups); got != want {
			t.Errorf("%q: %q, want %q", groups, got, want)
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
		if !neterror.Absent(fmt.Errorf("listen: %w", err)) || neterror.Absent(syscall.EADDRINUSE) || neterror.Absent(nil) {
			t.Errorf("%v: the address is not absent, or another is", err)
		}
	}
}

// TestParseSocket: rows of /proc/net/tcp and tcp6 of sockets that listen.
func TestParseSocket(t *testing.T) {
	const row = "   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711"
	want := socketEntry{port: 8443, uid: "1000", file: "socket:[4711]"}
	for line, ok := range map[string]bool{
		row:                         true,
		row + " 1 0000000000000000": true,
		strings.Replace(row, "0100007F", "00000000000000000000000001000000", 1):                            true,
		strings.Replace(row, " 0A ", " 01 ", 1):                                                            false,
		strings.TrimSuffix(row, " 4711"):                                                                   false,
		strings.Replace(row, ":20FB", ":20FBX", 1):                                                         false,
		strings.Replace(row, ":20FB", ":120FB", 1):                                                         false,
		strings.Replace(row, ":20FB", "", 1):                                                               false,
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode": false,
		"": false,
	} {
		got, parsed := parseSocket(line, isListening)
		want.six = strings.Contains(line, "00000000000000000000000001000000")
		if parsed != ok || ok && got != want {
			t.Errorf("%q: %+v, %v", line, got, parsed)
		}
	}
}

// TestWhoListens: each process once, in order, with each port once. A socket
// that a process shares with its children is its own.
func TestWhoListens(t *testing.T) {
	var ports []int
	for range 5 {
		s, err := open(t, Config{HTTPS: ":0", HTTP: "127.0.0.1:0"}) // one port on both addresses
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, int(s.HTTPS()[0].Port()), int(s.HTTP()[0].Port()))
	}
	shared, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	ports = append(ports, int(boundTo(shared).Port()))
	file, err := shared.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	child, own := holding(t, t.TempDir(), file)
	all := ListeningProcesses()
	if !slices.IsSortedFunc(all, func(a, b Process) int { return a.PID - b.PID }) {
		t.Errorf("they are not in order: %v", all)
	}
	found := map[int][]int{}
	for _, p := range all {
		if _, twice := found[p.PID]; twice || p.PID == 0 {
			t.Errorf("process %d is there twice, or is none", p.PID)
		}
		if found[p.PID] = p.Ports; !slices.IsSorted(p.Ports) || len(slices.Compact(slices.Clone(p.Ports))) != len(p.Ports) {
			t.Errorf("process %d: ports %v", p.PID, p.Ports)
		}
	}
	for _, port := range ports {
		if !slices.Contains(found[os.Getpid()], port) {
			t.Errorf("port %d is not ours: %v", port, found[os.Getpid()])
		}
	}
	if !slices.Equal(found[child], []int{own}) {
		t.Errorf("the child has %v, want %d", found[child], own)
	}
	if holder := findHolder(1); holder.Text != "another process" || holder.Fix != showFix(tcp, 1) {
		t.Errorf("of a port on which nobody listens: %+v", holder)
	}
}

// TestTwins: two servers on one port, each on its own address.
func TestTwins(t *testing.T) {
	pid, port := holding(t, t.TempDir())
	if _, _, ok := Twins(port); ok {
		t.Error("one server has a twin")
	}
	ln, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	four, six, ok := Twins(port)
	if !ok || four.PID != pid || six.PID != os.Getpid() || six.Name == "" {
		t.Errorf("%+v, %+v, %v", four, six, ok)
	}
	ln.Close()
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	own := other.Addr().(*net.TCPAddr).Port
	both, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(own)))
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	if _, _, ok := Twins(own); ok {
		t.Error("a server that listens on both addresses has a twin")
	}
}
