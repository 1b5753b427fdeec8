package port

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// testStream is a Stream over a connection of this machine.
type testStream struct{ *net.TCPConn }

func (s testStream) Reset() {
	_ = s.SetLinger(0)
	_ = s.Close()
}

func (s testStream) WriteDatagram(datagram []byte) (sent bool, err error) {
	_, err = s.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(datagram))), datagram...))
	return err == nil, err
}

// office is the range of addresses that tests allow; home and guest are in it and not.
func office() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }

var home, guest = netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.1")

// sharedTo returns a shared block that leads to addrs, for everyone without allow.
func sharedTo(network plan.Network, allow []netip.Prefix, addrs ...string) *plan.Port {
	p := testPort(network, 1, addrs...)
	p.Public, p.Allow = allow == nil, allow
	return p
}

func newShare(t *testing.T, opts Options, ports ...*plan.Port) *Share {
	t.Helper()
	set, _ := newSet(t, opts)
	share := set.Share()
	t.Cleanup(share.Close)
	share.Apply(ports, nil)
	return share
}

// visitAs serves a visitor, and returns the visitor's end.
func visitAs(t *testing.T, share *Share, network plan.Network, name string, addr netip.Addr) testStream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near := dial(t, addrOf(listener.Addr()).Port())
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	share.Serve(testStream{far.(*net.TCPConn)}, Visitor{Network: network, Name: name, Addr: addr})
	return testStream{near}
}

// isReset reports whether a visitor's connection fails.
func isReset(s testStream) bool {
	_, err := s.Read(make([]byte, 1))
	return neterror.Broken(err)
}

// TestShareTCP: all bytes pass, and each direction ends on its own.
func TestShareTCP(t *testing.T) {
	share := newShare(t, Options{}, sharedTo(plan.TCP, nil, server(t, echo)))
	visitor := visitAs(t, share, plan.TCP, "test", netip.Addr{})
	text := strings.Repeat("text", 1<<20)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(visitor, text)
		_ = visitor.CloseWrite()
		sent <- err
	}()
	got, err := io.ReadAll(visitor)
	if err := errors.Join(err, <-sent); err != nil || string(got) != text {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(text), err)
	}
	waitFor(t, "no visit is left", func() bool { return share.Open() == 0 })
}

// TestShareAccess: only blocks that are shared accept, and only allowed addresses.
func TestShareAccess(t *testing.T) {
	addr := server(t, sayName("one"))
	limited, open := sharedTo(plan.TCP, office(), addr), sharedTo(plan.TCP, nil, addr)
	nobody, withheld := sharedTo(plan.TCP, []netip.Prefix{}, addr), sharedTo(plan.TCP, nil, addr)
	withheld.Withheld = true
	open.Name, nobody.Name, withheld.Name = "open", "nobody", "withheld"
	share := newShare(t, Options{}, limited, open, nobody, withheld)
	for _, test := range []struct {
		network plan.Network
		name    string
		addr    netip.Addr
		share   []netip.Prefix // allow of the share
		served  bool
	}{
		{plan.TCP, "test", home, nil, true},
		{plan.TCP, "test", netip.MustParseAddr("::ffff:203.0.113.7"), nil, true},
		{plan.TCP, "test", guest, nil, false},
		{plan.TCP, "test", netip.Addr{}, nil, false},
		{plan.TCP, "open", guest, nil, true},
		{plan.TCP, "open", netip.Addr{}, nil, true},
		{plan.TCP, "open", guest, office(), false},
		{plan.TCP, "open", netip.Addr{}, office(), false},
		{plan.TCP, "open", home, office(), true},
		{plan.TCP, "open", home, []netip.Prefix{}, false},
		{plan.TCP, "nobody", home, nil, false},
		{plan.TCP, "withheld", home, nil, false},
		{plan.TCP, "other", home, nil, false},
		{plan.UDP, "test", home, nil, false},
		{"http", "test", home, nil, false},
	} {
		share.Apply([]*plan.Port{limited, open, nobody, withheld}, test.share)
		visitor := visitAs(t, share, test.network, test.name, test.addr)
		if test.served {
			readText(t, visitor, 3)
			visitor.Close()
		} else if !isReset(visitor) {
			t.Errorf("%s %s accepts %v with %v", test.network, test.name, test.addr, test.share)
		}
	}
}

// TestShareApply: a save changes where new connections go, and ends those that are not
// allowed any more, and no others.
func TestShareApply(t *testing.T) {
	one, two := server(t, sayName("one")), server(t, sayName("two"))
	share := newShare(t, Options{}, sharedTo(plan.TCP, nil, one))
	kept, ended := visitAs(t, share, plan.TCP, "test", home), visitAs(t, share, plan.TCP, "test", guest)
	readText(t, kept, 3)
	readText(t, ended, 3)
	share.Apply([]*plan.Port{sharedTo(plan.TCP, office(), two)}, nil)
	if n, err := ended.Read(make([]byte, 1)); err == nil {
		t.Errorf("a visitor who is not allowed any more reads %d bytes", n)
	}
	if got := readText(t, visitAs(t, share, plan.TCP, "test", home), 3); got != "two" {
		t.Errorf("a new connection goes to %s", got)
	}
	// It still works, both ways: its end is passed on.
	_ = kept.CloseWrite()
	if rest, err := io.ReadAll(kept); err != nil || len(rest) > 0 {
		t.Errorf("the connection that is allowed ends with %q, %v", rest, err)
	}
	last := visitAs(t, share, plan.TCP, "test", home)
	readText(t, last, 3)
	share.Apply(nil, nil)
	if n, err := last.Read(make([]byte, 1)); err == nil {
		t.Errorf("the visitor of a block that is not shared any more reads %d bytes", n)
	}
	waitFor(t, "no visit is left", func() bool { return share.Open() == 0 })
}

// TestShareWaits: a connection waits for its upstream, and one that it refuses is reset and
// noted for the block.
func TestShareWaits(t *testing.T) {
	set, states := newSet(t, Options{})
	share := set.Share()
	defer share.Close()
	number := freePort(t)
	p := sharedTo(plan.TCP, nil, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), number).String())
	share.Apply([]*plan.Port{p}, nil)
	visitor := visitAs(t, share, plan.TCP, "test", home)
	listener, err := net.Listen("tcp", p.Members[0].Addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, listener, sayName("one"))
	readText(t, visitor, 3)

	gone := sharedTo(plan.TCP, nil, "127.0.0.1:1")
	gone.Hold = 0
	local := testPort(plan.TCP, freePort(t), "127.0.0.1:1")
	set.Apply([]*plan.Port{local})
	share.Apply([]*plan.Port{gone}, nil)
	if !isReset(visitAs(t, share, plan.TCP, "test", home)) {
		t.Error("a connection that the upstream refuses does not fail")
	}
	if state := <-states; state.Refusal != "nothing listens on 127.0.0.1:1" {
		t.Errorf("the block's state is %+v", state)
	}
}

// TestShareLimits: visits above the limits are reset, and do not count for this machine.
func TestShareLimits(t *testing.T) {
	addr := server(t, sayName("one"))
	share := newShare(t, Options{}, sharedTo(plan.TCP, nil, addr))
	change := func(visits, conns int) {
		share.mu.Lock()
		defer share.mu.Unlock()
		share.blocks["tcp test"].visits += visits
		share.conns += conns
	}
	change(MaxConns, 0)
	if !isReset(visitAs(t, share, plan.TCP, "test", home)) {
		t.Error("above the limit of a block: a connection is accepted")
	}
	change(-MaxConns, maxAllConns)
	if !isReset(visitAs(t, share, plan.TCP, "test", home)) {
		t.Error("above the limit of all: a connection is accepted")
	}
	local := testPort(plan.TCP, freePort(t), addr)
	share.set.Apply([]*plan.Port{local})
	readText(t, dial(t, local.Addrs[0].Port()), 3)
	change(0, -maxAllConns)
	readText(t, visitAs(t, share, plan.TCP, "test", home), 3)
}

// TestShareClose ends every visit, also with the Set.
func TestShareClose(t *testing.T) {
	tcp, udp := sharedTo(plan.TCP, nil, server(t, sayName("one"))), sharedTo(plan.UDP, nil, udpUpstream(t, "127.0.0.1:0", "one"))
	for _, end := range []func(*Share){(*Share).Close, func(s *Share) { s.set.Close() }} {
		share := newShare(t, Options{}, tcp, udp)
		conn, flow := visitAs(t, share, plan.TCP, "test", home), visitAs(t, share, plan.UDP, "test", home)
		readText(t, conn, 3)
		exchange(t, flow, "a")
		end(share)
		for _, s := range []testStream{conn, flow} {
			if n, err := s.Read(make([]byte, 1)); err == nil {
				t.Errorf("after the end: %d bytes", n)
			}
		}
		share.Close()
		if share.Open() != 0 || !isReset(visitAs(t, share, plan.TCP, "test", home)) {
			t.Errorf("%d visits after Close", share.Open())
		}
	}
}

// exchange sends datagrams on a visitor's flow until one comes back.
func exchange(t *testing.T, flow testStream, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answers := make(chan string, 1)
	go func() {
		defer close(answers)
		if answer, err := tunnel.NewDatagramReader(flow).Next(); err == nil {
			answers <- string(answer)
		}
	}()
	for {
		if _, err := flow.WriteDatagram([]byte(text)); err != nil {
			t.Fatal(err)
		}
		select {
		case answer, ok := <-answers:
			if !ok {
				t.Fatalf("no answer to %q", text)
			}
			return answer
		case <-time.After(200 * time.Millisecond): // the system may drop one
		case <-ctx.Done():
			t.Fatalf("no answer to %q", text)
		}
	}
}

// TestShareUDP: each flow has a port of its own towards the upstream. It ends with the
// visitor, when it is idle, and when a save moves the block.
func TestShareUDP(t *testing.T) {
	one := udpUpstream(t, "127.0.0.1:0", "one")
	share := newShare(t, Options{}, sharedTo(plan.UDP, nil, one))
	first, second := visitAs(t, share, plan.UDP, "test", home), visitAs(t, share, plan.UDP, "test", guest)
	_, from := portOf(t, exchange(t, first, "a"))
	if _, other := portOf(t, exchange(t, second, "b")); other == from {
		t.Errorf("two visitors come from %s", from)
	}
	if share.Open() != 2 {
		t.Errorf("%d flows are open", share.Open())
	}
	second.Close()
	waitFor(t, "the flow of the visitor who left ends", func() bool { return share.Open() == 1 })
	share.Apply([]*plan.Port{sharedTo(plan.UDP, nil, udpUpstream(t, "127.0.0.1:0", "two"))}, nil)
	waitFor(t, "the flow to the previous upstream ends", func() bool { return share.Open() == 0 })
	if name, _ := portOf(t, exchange(t, visitAs(t, share, plan.UDP, "test", home), "c")); name != "two" {
		t.Errorf("a new flow goes to %s", name)
	}
	idle := newShare(t, Options{IdleFlow: 50 * time.Millisecond}, sharedTo(plan.UDP, nil, one))
	exchange(t, visitAs(t, idle, plan.UDP, "test", home), "d")
	waitFor(t, "the idle flow ends", func() bool { return idle.Open() == 0 })
}

// TestShareUDPLimit: a flow too many ends another one.
func TestShareUDPLimit(t *testing.T) {
	share := newShare(t, Options{}, sharedTo(plan.UDP, nil, udpUpstream(t, "127.0.0.1:0", "one")))
	first := visitAs(t, share, plan.UDP, "test", home)
	exchange(t, first, "a")
	share.mu.Lock()
	share.flows += maxAllFlows - 1
	share.mu.Unlock()
	second := visitAs(t, share, plan.UDP, "test", home)
	exchange(t, second, "b")
	if n, err := io.Copy(io.Discard, first); err != nil && !neterror.Broken(err) {
		t.Errorf("the first flow ends after %d bytes with %v", n, err)
	}
	share.mu.Lock()
	share.flows -= maxAllFlows - 1
	share.mu.Unlock()
	waitFor(t, "one flow is left", func() bool { return share.Open() == 1 })
}
