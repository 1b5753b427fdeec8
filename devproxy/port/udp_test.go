package port

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// udpUpstream answers each datagram with its name, the sender's address and the datagram.
func udpUpstream(t *testing.T, addr, name string) string {
	t.Helper()
	socket, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, maxDatagram)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(append([]byte(name+" "+from.String()+" "), buffer[:n]...), from)
		}
	}()
	t.Cleanup(func() {
		socket.Close()
		<-done
	})
	return socket.LocalAddr().String()
}

func udpClient(t *testing.T, p *plan.Port) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", p.Listen())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a datagram until an answer comes: on a busy machine the system may drop one.
func ask(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	buffer := make([]byte, maxDatagram)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := c.Write([]byte(text)); err != nil {
			continue // an answer said that nothing listens
		}
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := c.Read(buffer)
		if answer := string(buffer[:n]); err == nil {
			if !strings.HasSuffix(answer, " "+text) {
				continue // to one that was sent again
			}
			return answer
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			time.Sleep(time.Millisecond)
		}
	}
	t.Fatalf("no answer to %q", text)
	return ""
}

// portOf is the port of this client that the upstream sees.
func portOf(t *testing.T, answer string) (name, from string) {
	t.Helper()
	var text string
	if _, err := fmt.Sscan(answer, &name, &from, &text); err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	return name, from
}

// TestUDP: each client has a flow of its own, which a save moves and idleness ends.
func TestUDP(t *testing.T) {
	set, _ := newSet(t, Options{})
	p := testPort(plan.UDP, freePort(t), udpUpstream(t, "127.0.0.1:0", "one"))
	set.Apply([]*plan.Port{p})
	first, second := udpClient(t, p), udpClient(t, p)
	_, from := portOf(t, ask(t, first, "a"))
	if _, again := portOf(t, ask(t, first, "b")); again != from {
		t.Errorf("one client comes from %s and %s", from, again)
	}
	if _, other := portOf(t, ask(t, second, "c")); other == from {
		t.Errorf("two clients come from %s", from)
	}
	if n := set.States()[0].Open; n != 2 {
		t.Errorf("%d flows are open", n)
	}
	// The longest datagram.
	big := string(make([]byte, maxDatagram-64))
	if got := ask(t, first, big); len(got) < len(big) {
		t.Errorf("%d bytes came back of %d", len(got), len(big))
	}
	next := testPort(plan.UDP, p.Addrs[0].Port(), udpUpstream(t, "127.0.0.1:0", "two"))
	set.Apply([]*plan.Port{next})
	waitFor(t, "the other upstream answers", func() bool { // answers that were on their way come first
		name, _ := portOf(t, ask(t, first, "d"))
		return name == "two"
	})
	set.Apply(nil)
	waitFor(t, "no flow is left", func() bool { return set.Open() == 0 })
}

// TestUDPIdle: a flow without datagrams ends.
func TestUDPIdle(t *testing.T) {
	set, _ := newSet(t, Options{IdleFlow: 50 * time.Millisecond})
	p := testPort(plan.UDP, freePort(t), udpUpstream(t, "127.0.0.1:0", "one"))
	set.Apply([]*plan.Port{p})
	ask(t, udpClient(t, p), "a")
	waitFor(t, "the idle flow ends", func() bool { return set.Open() == 0 })
	ask(t, udpClient(t, p), "b")
}

// TestUDPLimit: a flow too many takes the place of another one.
func TestUDPLimit(t *testing.T) {
	set, _ := newSet(t, Options{})
	p := testPort(plan.UDP, freePort(t), udpUpstream(t, "127.0.0.1:0", "one"))
	set.Apply([]*plan.Port{p})
	first := udpClient(t, p)
	_, from := portOf(t, ask(t, first, "a"))
	set.flows.Add(maxAllFlows - 1)
	ask(t, udpClient(t, p), "b")
	if n := set.States()[0].Open; n != 1 {
		t.Errorf("%d flows are open", n)
	}
	if _, again := portOf(t, ask(t, first, "c")); again == from {
		t.Errorf("the first flow still comes from %s", from)
	}
	set.flows.Add(1 - maxAllFlows)
}

// TestUDPFamily: a server that listens on ::1 alone is found.
func TestUDPFamily(t *testing.T) {
	set, _ := newSet(t, Options{})
	addr := udpUpstream(t, "[::1]:0", "six")
	_, port, _ := net.SplitHostPort(addr)
	p := testPort(plan.UDP, freePort(t), "127.0.0.1:"+port, addr)
	set.Apply([]*plan.Port{p})
	if name, _ := portOf(t, ask(t, udpClient(t, p), "a")); name != "six" {
		t.Errorf("the answer is of %s", name)
	}
}

// TestUDPTaken says that another program has the port.
func TestUDPTaken(t *testing.T) {
	set, states := newSet(t, Options{Retry: 10 * time.Millisecond})
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := testPort(plan.UDP, addrOf(other.LocalAddr()).Port(), udpUpstream(t, "127.0.0.1:0", "one"))
	set.Apply([]*plan.Port{p})
	state := <-states
	if !strings.HasPrefix(state.Problem, "cannot listen on "+p.Listen()+" (UDP): ") || !strings.HasSuffix(state.Problem, " is using it") || state.Fix == "" {
		t.Errorf("the state is %+v", state)
	}
	if own := fmt.Sprintf("(pid %d", os.Getpid()); runtime.GOOS == "linux" && !strings.Contains(state.Problem, own) {
		t.Errorf("the problem %q does not name %s", state.Problem, own)
	}
	other.Close()
	if state = <-states; state.Problem != "" {
		t.Errorf("once it is free: %+v", state)
	}
	ask(t, udpClient(t, p), "a")
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}
