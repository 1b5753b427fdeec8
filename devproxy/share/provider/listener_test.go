package provider

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

// TestTunnelListener has more visitors than may be open at once: the next one gets
// in when another has left, and all are cut off at the end.
func TestTunnelListener(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newTunnelListener(ln)
	defer l.close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	var visitors, open []net.Conn
	for range maxOpen {
		visitors = append(visitors, dial())
		conn, err := l.accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	dial()
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := l.accept(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("one more was accepted: %v", err)
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := l.accept(t.Context())
		accepted <- err
	}()
	for range 2 { // closing again gives no second slot back
		_ = open[0].Close()
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if n := len(l.slots); n != maxOpen {
		t.Errorf("%d slots are taken", n)
	}
	if err := open[1].(duplex).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := visitors[1].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after CloseWrite: %v", err)
	}
	l.close()
	for _, conn := range visitors[2:] {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Fatal("a visitor is left")
		}
	}
	if n := len(l.slots); n != 0 {
		t.Errorf("%d slots are taken after the end", n)
	}
	if _, err := l.accept(t.Context()); err == nil {
		t.Error("a closed listener accepts")
	}
}
