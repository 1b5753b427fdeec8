package runtimedir

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestClientUID asks for both ends of a connection, by IPv4, by IPv6, and by IPv4 to a
// socket of IPv6, and for one that is closed.
func TestClientUID(t *testing.T) {
	for _, test := range []struct{ listen, host string }{{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"[::]:0", "127.0.0.1"}} {
		ln, err := net.Listen("tcp", test.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		client, err := net.Dial("tcp", net.JoinHostPort(test.host, port))
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		local, remote := addrPort(t, server.LocalAddr()), addrPort(t, server.RemoteAddr())
		uid, known, err := clientUID(local, remote)
		if err != nil || !known || int(uid) != os.Getuid() || !OwnClient(local, remote) {
			t.Errorf("%s: uid %d, known %v, %v", test.listen, uid, known, err)
		}
		client.Close()
		if _, known, err := clientUID(local, remote); err != nil || known || !OwnClient(local, remote) {
			t.Errorf("%s, closed: known %v, %v", test.listen, known, err)
		}
		server.Close()
	}
	none := netip.MustParseAddrPort("127.0.0.1:1")
	if _, known, err := clientUID(none, none); err != nil || known {
		t.Errorf("no connection: known %v, %v", known, err)
	}
}

// TestOwnClientOfAnotherUser connects as another user.
func TestOwnClientOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can run a program as another user")
		}
		t.Skip("only root can run a program as another user")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+"; read -u 3")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		_ = cmd.Wait() // it was killed
	}()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if OwnClient(addrPort(t, conn.LocalAddr()), addrPort(t, conn.RemoteAddr())) {
		t.Error("the connection of another user counts as this user's")
	}
}

// nobody is the user id of an ordinary user.
const nobody = 65534

func addrPort(t *testing.T, addr net.Addr) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return a
}
