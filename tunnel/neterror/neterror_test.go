package neterror

import (
	"net"
	"testing"
)

// TestRealErrors checks the errors of real sockets.
func TestRealErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.Listen("tcp", ln.Addr().String()); !Taken(err) || Refused(err) || Forbidden(err) || Absent(err) {
		t.Errorf("listening twice: %v", err)
	}
	// 192.0.2.0/24 is for documentation (RFC 5737).
	if _, err := net.Listen("tcp", "192.0.2.1:0"); !Absent(err) || Taken(err) || Forbidden(err) {
		t.Errorf("listening at an address of others: %v", err)
	}
	ln.Close()
	if _, err := net.Dial("tcp", ln.Addr().String()); !Refused(err) || Broken(err) || Unreachable(err) {
		t.Errorf("connecting to a closed port: %v", err)
	}
	for _, is := range []func(error) bool{Refused, Taken, Forbidden, Absent, Unreachable, HostUnreachable, Broken} {
		if is(nil) || is(net.ErrClosed) {
			t.Error("an error of Go is taken for one of a socket")
		}
	}
}

// TestBroken resets a connection.
func TestBroken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = far.(*net.TCPConn).SetLinger(0)
	far.Close()
	if _, err := near.Read(make([]byte, 1)); !Broken(err) {
		t.Errorf("reading: %v", err)
	}
}
