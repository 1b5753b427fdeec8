package port

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// patience bounds the wait for something that happens at once on an idle machine.
const patience = 30 * time.Second

// freePort returns a port that nothing listens on, for connections and datagrams.
func freePort(t *testing.T) uint16 {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return addrOf(listener.Addr()).Port()
}

func addrOf(addr net.Addr) netip.AddrPort { return netip.MustParseAddrPort(addr.String()) }

// testPort returns a port that leads to addrs.
func testPort(network plan.Network, number uint16, addrs ...string) *plan.Port {
	p := &plan.Port{Network: network, Name: "test", Hold: patience, Text: strings.Join(addrs, ", ")}
	for _, ip := range []string{"127.0.0.1", "::1"} {
		p.Addrs = append(p.Addrs, netip.AddrPortFrom(netip.MustParseAddr(ip), number))
	}
	p.Members = []plan.Member{{Network: "tcp", Addrs: addrs, Text: p.Text}}
	return p
}

// newSet returns a Set that is closed at the end of the test, and its states.
func newSet(t *testing.T, opts Options) (*Set, <-chan State) {
	t.Helper()
	states := make(chan State, 100)
	opts.OnState = func(state State) { states <- state }
	set := New(opts)
	t.Cleanup(set.Close)
	return set, states
}

// server is a TCP server whose connections serve handles.
func server(t *testing.T, serve func(*net.TCPConn)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, serve)
	return listener.Addr().String()
}

func serveOn(t *testing.T, listener net.Listener, serve func(*net.TCPConn)) {
	t.Helper()
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { c.Close() })
			group.Go(func() {
				serve(c.(*net.TCPConn))
				c.Close()
				stop()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		group.Wait()
	})
}

func dial(t *testing.T, port uint16) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// echo returns what it was sent once the client has ended its direction.
func echo(c *net.TCPConn) {
	all, err := io.ReadAll(c)
	if err == nil {
		_, _ = c.Write(all)
	}
}

// sayName answers every connection with a name, and waits for its end.
func sayName(name string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		_, _ = io.WriteString(c, name)
		_, _ = io.Copy(io.Discard, c)
	}
}

func readText(t *testing.T, c net.Conn, n int) string {
	t.Helper()
	text := make([]byte, n)
	if _, err := io.ReadFull(c, text); err != nil {
		t.Fatalf("reading %d bytes: %v", n, err)
	}
	return string(text)
}

// readOnce connects and reads. The connection may be reset before the connect returns.
func readOnce(p *plan.Port) error {
	c, err := net.Dial("tcp", p.Listen())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = c.Read(make([]byte, 1))
	return err
}

// TestHalfClose: the server answers after the client has ended its direction, and all
// bytes arrive as they are.
func TestHalfClose(t *testing.T) {
	set, _ := newSet(t, Options{})
	p := testPort(plan.TCP, freePort(t), server(t, echo))
	set.Apply([]*plan.Port{p})
	c := dial(t, p.Addrs[0].Port())
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent)
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(sent), err)
	}
}

// TestReset: a reset of one end is a reset of the other, in both directions.
func TestReset(t *testing.T) {
	set, _ := newSet(t, Options{})
	accepted := make(chan *net.TCPConn, 2)
	done := make(chan struct{})
	defer close(done)
	p := testPort(plan.TCP, freePort(t), server(t, func(c *net.TCPConn) {
		accepted <- c
		select {
		case <-done:
		case <-t.Context().Done():
		}
	}))
	set.Apply([]*plan.Port{p})
	for _, clientResets := range []bool{true, false} {
		client := dial(t, p.Addrs[0].Port())
		server := <-accepted
		_ = server.SetDeadline(time.Now().Add(patience))
		ends := [2]*net.TCPConn{client, server}
		if !clientResets {
			ends = [2]*net.TCPConn{server, client}
		}
		reset(ends[0])
		if _, err := ends[1].Read(make([]byte, 1)); !neterror.Broken(err) {
			t.Errorf("client resets %t: the other end reads %v", clientResets, err)
		}
	}
}

// TestStall: while a reader stalls, its writer stalls too.
func TestStall(t *testing.T) {
	set, _ := newSet(t, Options{})
	release := make(chan struct{})
	received := make(chan int64, 1)
	p := testPort(plan.TCP, freePort(t), server(t, func(c *net.TCPConn) {
		<-release
		n, _ := io.Copy(io.Discard, c)
		received <- n
	}))
	set.Apply([]*plan.Port{p})
	c := dial(t, p.Addrs[0].Port())
	block := make([]byte, 1<<20)
	var sent int64
	// The system holds some MiB of three sockets. Without an end, devproxy would hold the rest.
	for range 512 {
		_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Write(block)
		sent += int64(n)
		if err != nil {
			break
		}
	}
	close(release)
	if sent >= 512<<20 {
		t.Errorf("a stalled reader was sent %d MiB", sent>>20)
	}
	_ = c.CloseWrite()
	if n := <-received; n != sent {
		t.Errorf("%d bytes arrived of %d", n, sent)
	}
}

// TestHold: a connection waits until the upstream listens.
func TestHold(t *testing.T) {
	set, states := newSet(t, Options{})
	number := freePort(t)
	p := testPort(plan.TCP, freePort(t), fmt.Sprintf("127.0.0.1:%d", number))
	set.Apply([]*plan.Port{p})
	c := dial(t, p.Addrs[0].Port())
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number))
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, sayName("late"))
	if got := readText(t, c, 4); got != "late" {
		t.Errorf("read %q", got)
	}
	// Without a hold, it is reset and said.
	gone := *p
	gone.Hold = 0
	gone.Members = []plan.Member{{Network: "tcp", Addrs: []string{fmt.Sprintf("127.0.0.1:%d", freePort(t))}}}
	set.Apply([]*plan.Port{&gone})
	if err := readOnce(p); !neterror.Broken(err) {
		t.Errorf("nothing listens: %v", err)
	}
	state := <-states
	if want := "nothing listens on " + gone.Members[0].Addrs[0]; state.Refusal != want {
		t.Errorf("the state is %+v", state)
	}
	set.Apply([]*plan.Port{p})
	readText(t, dial(t, p.Addrs[0].Port()), 4)
	if state := set.States()[0]; state.Refusal != "" || state.Problem != "" {
		t.Errorf("the state after it works is %+v", state)
	}
}

// TestForwarder: a connection waits while what accepts it is a port forwarder without a
// server, and gets what the server says first.
func TestForwarder(t *testing.T) {
	set, _ := newSet(t, Options{})
	var tries atomic.Int64
	p := testPort(plan.TCP, freePort(t), server(t, func(c *net.TCPConn) {
		if tries.Add(1) > 3 {
			sayName("late")(c)
		}
	}))
	set.Apply([]*plan.Port{p})
	if got := readText(t, dial(t, p.Addrs[0].Port()), 4); got != "late" || tries.Load() < 4 {
		t.Errorf("read %q after %d connections", got, tries.Load())
	}
	// Without one, it says so.
	tries.Store(-1 << 40)
	gone := *p
	gone.Hold = 0
	gone.Members = []plan.Member{{Network: "tcp", Addrs: p.Members[0].Addrs, Text: "another upstream"}}
	set.Apply([]*plan.Port{&gone})
	if err := readOnce(p); !neterror.Broken(err) {
		t.Errorf("nothing is behind the forwarder: %v", err)
	}
	want := p.Members[0].Addrs[0] + " closes every connection at once: what it forwards to is not running yet"
	waitFor(t, "the reason is said", func() bool { return set.States()[0].Refusal == want })
}

// TestApply: a save changes where new connections go, and closes none.
func TestApply(t *testing.T) {
	set, _ := newSet(t, Options{})
	one, two := server(t, sayName("one")), server(t, sayName("two"))
	p := testPort(plan.TCP, freePort(t), one)
	set.Apply([]*plan.Port{p})
	before := dial(t, p.Addrs[0].Port())
	readText(t, before, 3)

	next := testPort(plan.TCP, p.Addrs[0].Port(), two)
	next.Name = "renamed"
	set.Apply([]*plan.Port{next})
	if got := readText(t, dial(t, p.Addrs[0].Port()), 3); got != "two" {
		t.Errorf("a new connection goes to %s", got)
	}
	set.Apply(nil)
	if _, err := net.Dial("tcp", p.Listen()); !neterror.Refused(err) {
		t.Errorf("a removed port accepts: %v", err)
	}
	if set.Open() == 0 {
		t.Error("no connection is open")
	}
	// The first connection still works, both ways: its end is passed on.
	_ = before.CloseWrite()
	if rest, err := io.ReadAll(before); err != nil || len(rest) > 0 {
		t.Errorf("the open connection ended with %q, %v", rest, err)
	}
	set.Close()
	if set.Open() != 0 {
		t.Errorf("%d open after Close", set.Open())
	}
	set.Apply([]*plan.Port{p}) // does nothing
	if _, err := net.Dial("tcp", p.Listen()); !neterror.Refused(err) {
		t.Errorf("a closed Set accepts: %v", err)
	}
}

// TestTaken: a port that another program has is said, and used once it is free. Others are
// served meanwhile.
func TestTaken(t *testing.T) {
	set, states := newSet(t, Options{Retry: 10 * time.Millisecond})
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	addr := server(t, sayName("one"))
	taken := testPort(plan.TCP, addrOf(other.Addr()).Port(), addr)
	free := testPort(plan.TCP, freePort(t), addr)
	set.Apply([]*plan.Port{taken, free})
	state := <-states
	if !strings.HasPrefix(state.Problem, "cannot listen on "+taken.Listen()+": ") || !strings.HasSuffix(state.Problem, " is using it") {
		t.Errorf("the problem is %q", state.Problem)
	}
	readText(t, dial(t, free.Addrs[0].Port()), 3)
	other.Close()
	if state := <-states; state.Problem != "" {
		t.Errorf("once it is free: %+v", state)
	}
	readText(t, dial(t, taken.Addrs[0].Port()), 3)
}

// TestLimit: one connection too many is reset.
func TestLimit(t *testing.T) {
	set, _ := newSet(t, Options{})
	p := testPort(plan.TCP, freePort(t), server(t, sayName("one")))
	set.Apply([]*plan.Port{p})
	set.sockets[0].open.Store(MaxConns)
	if err := readOnce(p); !neterror.Broken(err) {
		t.Errorf("above the limit of a block: %v", err)
	}
	set.sockets[0].open.Store(0)
	set.conns.Store(maxAllConns)
	if err := readOnce(p); !neterror.Broken(err) {
		t.Errorf("above the limit of all: %v", err)
	}
	set.conns.Store(0)
	readText(t, dial(t, p.Addrs[0].Port()), 3)
}
