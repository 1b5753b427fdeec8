package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// readDatagram reads the next datagram of a stream.
func readDatagram(t testing.TB, from *tunnel.DatagramReader) string {
	t.Helper()
	got, err := from.Next()
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// answerOf reads an answer at a client.
func answerOf(t *testing.T, c net.Conn) string {
	t.Helper()
	buffer := make([]byte, tunnel.MaxDatagram)
	n, err := c.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

// client sends a first datagram, which the agent reads, and returns both ends of its flow.
func (a *portAgent) client(text string) (c net.Conn, st *tunnel.Stream, from *tunnel.DatagramReader) {
	a.t.Helper()
	c = a.dial("udp", 0)
	datagram(a.t, c, text)
	st = a.visitor()
	from = tunnel.NewDatagramReader(st)
	readDatagram(a.t, from)
	return c, st, from
}

// TestUDPPort: each client has a stream, which carries its datagrams whole, both ways.
func TestUDPPort(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) {
		withPorts(t)(o)
		o.Access = jsonLog(&log)
	})
	a := w.portAgent(testKey("a"), game)
	first, second := a.dial("udp", 0), a.dial("udp", 0)
	datagram(t, first, "one")
	st := a.visitor()
	head, err := tunnel.ParseVisitor(st.Head())
	if want := (tunnel.Visitor{Addr: first.LocalAddr().(*net.UDPAddr).AddrPort(), Scheme: tunnel.UDP, Host: "game"}); err != nil || head != want {
		t.Errorf("the visitor is %+v, %v; want %+v", head, err, want)
	}
	from := tunnel.NewDatagramReader(st)
	if got := readDatagram(t, from); got != "one" {
		t.Errorf("the agent got %q", got)
	}
	big := strings.Repeat("b", 60_000)
	for _, text := range []string{"", "two", big} {
		datagram(t, first, text)
		if got := readDatagram(t, from); got != text {
			t.Errorf("the agent got %d bytes of %d", len(got), len(text))
		}
		if sent, err := st.WriteDatagram([]byte("re:" + text)); !sent || err != nil {
			t.Fatal(sent, err)
		}
		if got := answerOf(t, first); got != "re:"+text {
			t.Errorf("the client got %d bytes of %d", len(got), len(text)+3)
		}
	}
	datagram(t, second, "other")
	other := a.visitor()
	if got := readDatagram(t, tunnel.NewDatagramReader(other)); got != "other" {
		t.Errorf("the second client's stream has %q", got)
	}
	if n := w.ports.flows.count(); n != 2 {
		t.Errorf("%d flows", n)
	}
	other.Close()
	eventually(t, "the flow that the agent has ended is over", func() bool { return w.ports.flows.count() == 1 })
	datagram(t, second, "again")
	a.visitor()
	a.Close(nil)
	eventually(t, "no flow is left without the agent", func() bool { return w.ports.flows.count() == 0 })
	eventually(t, "the log has a line for each", func() bool { return strings.Count(log.String(), `"port":"udp:`) == 3 })
	w.ports.flows.mu.Lock()
	defer w.ports.flows.mu.Unlock()
	if n := len(w.ports.flows.sets); n != 0 {
		t.Errorf("%d sets of flows are left", n)
	}
}

// TestUDPIdle: a flow without datagrams ends, and one with them does not.
func TestUDPIdle(t *testing.T) {
	w := start(t, withPorts(t))
	w.ports.flows.mu.Lock()
	w.ports.flows.idle = 300 * time.Millisecond
	w.ports.flows.mu.Unlock()
	a := w.portAgent(testKey("a"), game)
	c, st, from := a.client("ping")
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	for range 100 { // the agent's datagrams count too
		<-ticks.C
		if sent, err := st.WriteDatagram([]byte("tick")); !sent || err != nil {
			t.Fatal(sent, err)
		}
		answerOf(t, c)
	}
	if got, err := from.Next(); err == nil {
		t.Errorf("the stream of an idle flow has %q", got)
	}
	datagram(t, c, "later")
	if got := readDatagram(t, tunnel.NewDatagramReader(a.visitor())); got != "later" {
		t.Errorf("the next flow has %q", got)
	}
}

// TestUDPStalled: datagrams for an agent that does not read are dropped, and the relay
// keeps few of them.
func TestUDPStalled(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), game)
	c := a.dial("udp", 0)
	text := strings.Repeat("d", 1200)
	datagram(t, c, text)
	st := a.visitor()
	eventually(t, "datagrams are dropped", func() bool {
		for range 100 {
			datagram(t, c, text)
		}
		return strings.Contains(metricsOf(t, w), `limited_total{limit="datagrams"}`)
	})
	// Everything that was taken is whole, and new ones pass once it is read.
	from := tunnel.NewDatagramReader(st)
	_ = st.SetReadDeadline(time.Now().Add(patience))
	read := 0
	for end := ""; end != "the end"; read += len(end) {
		datagram(t, c, "the end")
		if end = readDatagram(t, from); end != text && end != "the end" {
			t.Fatalf("a datagram came as %d bytes", len(end))
		}
	}
	if most := tunnel.FirstCredit + 1<<20; read > most {
		t.Errorf("%d bytes waited", read)
	}
}

// TestUDPAnswers: a client gets only so much in return for what it has sent.
func TestUDPAnswers(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), game)
	c, st, from := a.client("a forged question")
	for range 40 {
		if _, err := st.WriteDatagram(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "further answers are dropped", func() bool {
		return strings.Contains(metricsOf(t, w), `limited_total{limit="answers"} `+fmt.Sprint(40-firstAnswers/1000))
	})
	got := 0
	for range firstAnswers / 1000 {
		got += len(answerOf(t, c))
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 2000)); err == nil {
		t.Errorf("%d bytes more than %d came", n, got)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	datagram(t, c, "one more")
	readDatagram(t, from)
	for range 20 {
		if _, err := st.WriteDatagram(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		answerOf(t, c)
	}
}

// TestUDPForged: datagrams with forged addresses neither exhaust the relay nor end a flow
// in use. Those whose client never got an answer make room first.
func TestUDPForged(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), game)
	c, st, from := a.client("join")
	if _, err := st.WriteDatagram([]byte("welcome")); err != nil {
		t.Fatal(err)
	}
	answerOf(t, c)
	go func() {
		for range a.visitors {
		}
	}()

	port, socket := openUDP(t, w)
	f := w.ports.flows
	forge := func(n int) {
		for i := range n {
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 4000)
			f.take(flowID{port, client}, socket, []byte("forged"))
		}
	}
	forge(3 * newFlowsBurst)
	if n := f.count(); n > flowsPerShare || n < newFlowsBurst {
		t.Errorf("%d flows; want %d at most", n, flowsPerShare)
	}
	if !strings.Contains(metricsOf(t, w), `limited_total{limit="flows"}`) {
		t.Error("new flows are not limited")
	}
	// Fill the share to the last place, with one more each time.
	f.mu.Lock()
	w.shares.forKey(publicKey(testKey("a"))).flows.SetBurst(1 << 20)
	w.shares.forKey(publicKey(testKey("a"))).flows.SetLimit(1 << 20)
	f.mu.Unlock()
	forge(1) // fills the allowance
	eventually(t, "the allowance of the share is full", func() bool {
		return w.shares.forKey(publicKey(testKey("a"))).flows.Tokens() >= 2*flowsPerShare
	})
	forge(2 * flowsPerShare)
	if n := f.count(); n != flowsPerShare {
		t.Errorf("%d flows; want %d", n, flowsPerShare)
	}
	datagram(t, c, "move")
	if got := readDatagram(t, from); got != "move" {
		t.Errorf("the flow in use got %q", got)
	}
	// Addresses of servers would answer the answers, and so would other ports of the relay.
	before := f.count()
	for _, source := range []string{"203.0.113.5:53", port.socket.(*net.UDPConn).LocalAddr().String()} {
		f.take(flowID{port, netip.MustParseAddrPort(source)}, socket, []byte("loop"))
	}
	if strings.Count(metricsOf(t, w), `limited_total{limit="flow_sources"} 2`) != 1 || f.count() != before {
		t.Error("a server's address has a flow")
	}
}

// openUDP returns the open UDP port of a relay.
func openUDP(t *testing.T, w *world) (*openPort, *net.UDPConn) {
	t.Helper()
	w.ports.mu.Lock()
	defer w.ports.mu.Unlock()
	for id, one := range w.ports.open {
		if id.network == tunnel.UDP {
			return one, one.socket.(*net.UDPConn)
		}
	}
	t.Fatal("no UDP port is open")
	return nil, nil
}

// TestFlowSets: in a full set, the flow that makes room never got an answer, or is not in
// use. Without one, the new flow is refused.
func TestFlowSets(t *testing.T) {
	f := &flows{sets: map[flowGroup]*flowSet{}, byClient: map[flowID]*flow{}}
	network := netip.MustParsePrefix("192.0.2.1/32")
	s := &share{}
	sets := f.setsLocked(s, network)
	var all []*flow
	for range flowsPerVisitor {
		one := &flow{last: time.Now()}
		f.addLocked(one, sets)
		all = append(all, one)
	}
	sets = f.setsLocked(s, network)
	if got := sets[0].victim(); got != all[0] {
		t.Error("not the flow without an answer that was quiet the longest makes room")
	}
	all[0].moveLocked()
	if got := sets[0].victim(); got != all[1] {
		t.Error("not the second flow makes room after a datagram of the first")
	}
	for _, one := range all {
		one.heard = true
		one.moveLocked()
	}
	if f.makeRoomLocked(sets) {
		t.Error("a flow in use makes room")
	}
	if other := f.setsLocked(&share{}, network); !f.makeRoomLocked(other) {
		t.Error("another share has no room")
	}
	all[3].last = time.Now().Add(-usedFlow)
	for i, one := range all {
		if i != 3 {
			one.moveLocked()
		}
	}
	if got := sets[0].victim(); got != all[3] {
		t.Error("not the flow that is not in use makes room")
	}
	for _, one := range all[:flowsPerVisitor/2] {
		f.removeLocked(one)
		one.heard = false
		f.addLocked(one, sets)
	}
	all[len(all)-1].last = time.Now().Add(-usedFlow)
	for _, one := range all[flowsPerVisitor/2 : len(all)-1] {
		one.moveLocked()
	}
	if got := sets[0].victim(); got != all[len(all)-1] {
		t.Error("not the flow that is not in use makes room for those that wait for an answer")
	}
	f.removeLocked(all[len(all)-2])
	more := &flow{last: time.Now()}
	f.addLocked(more, sets)
	all = append(all, more)
	if got := sets[0].victim(); got != all[0] {
		t.Error("more than half without an answer end another flow")
	}
	for _, one := range all {
		f.removeLocked(one)
	}
	if len(f.sets) != 0 {
		t.Errorf("%d sets are left", len(f.sets))
	}
}

// TestUDPClosed: a port that is not shared any more ends its flows.
func TestUDPClosed(t *testing.T) {
	w := start(t, withPorts(t))
	key := testKey("a")
	a := w.portAgent(key, game)
	_, _, from := a.client("ping")
	a.ask(tunnel.Request{Op: "claim", Claim: new(portClaim(key))})
	if got, err := from.Next(); err == nil || errors.Is(err, io.EOF) && len(got) > 0 {
		t.Errorf("the flow of a closed port has %q", got)
	}
	eventually(t, "no flow is left", func() bool { return w.ports.flows.count() == 0 })
}

// TestUDPRefused: a client that the share does not want opens one flow in refusedFor,
// however much it sends.
func TestUDPRefused(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), game)
	stranger := a.dial("udp", 0)
	datagram(t, stranger, "let me in")
	a.visitor().Reset()
	eventually(t, "further datagrams are dropped", func() bool {
		datagram(t, stranger, "let me in")
		return strings.Contains(metricsOf(t, w), `limited_total{limit="flows_refused"}`)
	})
	if n := w.ports.flows.count(); n != 1 {
		t.Errorf("%d flows", n)
	}
	if n := a.Stats().Streams; n != 0 {
		t.Errorf("%d streams are open", n)
	}
	datagram(t, a.dial("udp", 0), "and me")
	other := a.visitor()
	if got := readDatagram(t, tunnel.NewDatagramReader(other)); got != "and me" {
		t.Errorf("another client's stream has %q", got)
	}
	other.Close()
	eventually(t, "the client may try again", func() bool {
		datagram(t, stranger, "again")
		return len(a.visitors) > 0
	})
	again := a.visitor()
	datagram(t, stranger, "again")
	if got := readDatagram(t, tunnel.NewDatagramReader(again)); got != "again" {
		t.Errorf("the next flow has %q", got)
	}
}

// TestUDPOneAddress: the new flows of one address, which the share refuses, leave others
// their part.
func TestUDPOneAddress(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), game)
	go func() {
		for st := range a.visitors {
			st.Reset()
		}
	}()
	port, socket := openUDP(t, w)
	for i := range 3 * newFlowsBurst {
		client := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(firstUserPort+i))
		w.ports.flows.take(flowID{port, client}, socket, []byte("me again"))
	}
	if left := w.shares.forKey(publicKey(testKey("a"))).flows.Tokens(); left < newFlowsBurst/2 {
		t.Errorf("%.0f new flows are left for others", left)
	}
}
