package wan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAddressChange: after it, TCP from the new address arrives, and a socket
// of the old one reaches no one.
func TestAddressChange(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{RTT: time.Millisecond})
	p := mustPair(t, l)
	p.echo(t)
	if _, err := p.ping(patience); err != nil {
		t.Fatal(err)
	}
	next := netip.MustParseAddr("198.18.0.3")
	if err := l.SetAddr(t.Context(), B, next); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ping(100 * time.Millisecond); err == nil {
		t.Error("the old address still has an answer")
	}
	if got := l.Addr(B); got != next {
		t.Errorf("the address is %v, want %v", got, next)
	}
	_, accepted := connect(t, l)
	if got := accepted.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != next {
		t.Errorf("a connection comes from %v, want %v", got, next)
	}
}

// connect makes a connection from B to A.
func connect(t *testing.T, l *Link) (dialled, accepted *net.TCPConn) {
	t.Helper()
	at := netip.AddrPortFrom(l.Addr(A), port).String()
	var listener net.Listener
	var conn net.Conn
	err := l.Enter(A, func() (err error) { listener, err = net.Listen("tcp", at); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = l.Enter(B, func() (err error) { conn, err = net.DialTimeout("tcp", at, patience); return err })
	if err != nil {
		t.Fatal(err)
	}
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); other.Close() })
	return conn.(*net.TCPConn), other.(*net.TCPConn)
}

func TestAddressRefused(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{})
	for _, bad := range []string{"198.18.0.1", "198.18.0.2", "192.0.2.1", "::1"} {
		if err := l.SetAddr(t.Context(), B, netip.MustParseAddr(bad)); err == nil {
			t.Errorf("side B may be %s", bad)
		}
	}
	if got := l.Addr(B); got != DefaultAddr(B) {
		t.Errorf("the address is %v", got)
	}
}

// TestCommand runs programs in both namespaces: each sees its own addresses,
// and the names it was given.
func TestCommand(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{Hosts: map[string]netip.Addr{"relay.test": DefaultAddr(A)}})
	for _, side := range []Side{A, B} {
		out := output(t, l, side, "ip", "-o", "addr", "show", "dev", device)
		if !strings.Contains(out, DefaultAddr(side).String()+"/") || strings.Contains(out, DefaultAddr(1-side).String()+"/") {
			t.Errorf("side %v has %s", side, out)
		}
	}
	if out := output(t, l, B, "getent", "hosts", "relay.test"); !strings.HasPrefix(out, "198.18.0.1 ") {
		t.Errorf("relay.test is %q", out)
	}
}

func output(t *testing.T, l *Link, side Side, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := l.Command(ctx, side, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

// TestCongestion asks for each that the kernel has: both ends of a connection
// have it, also after a change of address.
func TestCongestion(t *testing.T) {
	t.Parallel()
	for _, name := range words(t, "/proc/sys/net/ipv4/tcp_available_congestion_control") {
		l := mustOpen(t, Config{Congestion: name})
		wantCongestion(t, l, name)
		if err := l.SetAddr(t.Context(), B, netip.MustParseAddr("198.18.0.3")); err != nil {
			t.Fatal(err)
		}
		wantCongestion(t, l, name)
	}
}

func wantCongestion(t *testing.T, l *Link, want string) {
	t.Helper()
	dialled, accepted := connect(t, l)
	for _, c := range []*net.TCPConn{dialled, accepted} {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got string
		raw.Control(func(fd uintptr) { got, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION) })
		if err != nil || got != want {
			t.Errorf("the connection from %v has %q, want %q: %v", c.LocalAddr(), got, want, err)
		}
	}
}

func words(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func TestClose(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{})
	sleeper := l.Command(t.Context(), B, "cat")
	in, err := sleeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); sleeper.Wait() }()
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, side := range []Side{A, B} {
		for _, dir := range []string{namespaceDir, overlayDir} {
			if _, err := os.Stat(filepath.Join(dir, l.Namespace(side))); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s/%s is left: %v", dir, l.Namespace(side), err)
			}
		}
	}
}

// TestFailedOpen fails late, when one end is there already.
func TestFailedOpen(t *testing.T) {
	mustOpen(t, Config{}).Close() // fails, or skips where links are not supported
	before := ourNamespaces(t)
	_, err := Open(t.Context(), Config{Congestion: "nonesuch"})
	if err == nil || !strings.Contains(err.Error(), `congestion control "nonesuch"`) || !strings.Contains(err.Error(), "modprobe") {
		t.Errorf("got %v", err)
	}
	if after := ourNamespaces(t); !slices.Equal(before, after) {
		t.Errorf("namespaces before %v, after %v", before, after)
	}
}

func ourNamespaces(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(fmt.Sprintf("%s/wan-%d-*", namespaceDir, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSweep leaves a namespace as a process does that was killed. The next link
// removes it, and none of a process that runs.
func TestSweep(t *testing.T) {
	l := mustOpen(t, Config{})
	gone := exec.Command("cat")
	gone.Stdin = strings.NewReader("")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left := namespace{ip: l.ends[A].ip, name: fmt.Sprintf("wan-%d-0badcafe-a", gone.Process.Pid)}
	// The links of other processes sweep too, and one may take it half made.
	err := left.add(t.Context())
	for try := 0; err != nil && try < 20; try++ {
		left.remove()
		err = left.add(t.Context())
	}
	if err = errors.Join(err, left.hosts(nil)); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, Config{})
	if _, err := os.Stat(filepath.Join(namespaceDir, left.name)); !errors.Is(err, fs.ErrNotExist) {
		left.remove()
		t.Errorf("%s is left: %v", left.name, err)
	}
	if err := l.Enter(A, func() error { return nil }); err != nil {
		t.Errorf("a link in use was swept: %v", err)
	}
}

func TestAbandoned(t *testing.T) {
	for _, name := range []string{"", "wan-1-0badcafe-a", "wan-a", "wan-0-0badcafe-a", "wan--1-0badcafe-a", "mine",
		fmt.Sprintf("wan-%d-0badcafe-b", os.Getpid())} {
		if abandoned(name) {
			t.Errorf("%q is called abandoned", name)
		}
	}
}

// TestEnterStays: what f opens is in the namespace, and what others open is not.
func TestEnterStays(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, Config{})
	count := func() (n int, err error) {
		all, err := net.Interfaces()
		return len(all), err
	}
	var inside int
	if err := l.Enter(A, func() (err error) { inside, err = count(); return err }); err != nil {
		t.Fatal(err)
	}
	if inside != 2 {
		t.Errorf("%d interfaces inside, want lo and %s", inside, device)
	}
	if _, err := net.InterfaceByName(device); err == nil {
		t.Errorf("there is a %s outside", device)
	}
	if err := l.Enter(A, func() error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("the error is %v", err)
	}
}
