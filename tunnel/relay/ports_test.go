package relay

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// freeRange returns a range of n free ports. The system does not give them to outgoing
// connections meanwhile.
func freeRange(t *testing.T, n int) PortRange {
	t.Helper()
	for range 1000 {
		first := uint16(10_000 + rand.IntN(20_000))
		all := PortRange{first, first + uint16(n) - 1}
		if isFree(all) {
			return all
		}
	}
	t.Fatalf("no %d ports in a row are free", n)
	return PortRange{}
}

func isFree(all PortRange) bool {
	for i := range all.size() {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(all.First)+i))
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		ln.Close()
		socket, err := net.ListenPacket("udp", address)
		if err != nil {
			return false
		}
		socket.Close()
	}
	return true
}

// withPorts gives a relay ports of both networks.
func withPorts(t *testing.T) func(*Options) {
	both := freeRange(t, 64)
	return func(o *Options) { o.TCPPorts, o.UDPPorts = both, both }
}

// portAgent is an agent that has ports.
type portAgent struct {
	*agent
	visitors chan *tunnel.Stream
}

var (
	postgres = tunnel.Port{Network: tunnel.TCP, Name: "postgres"}
	game     = tunnel.Port{Network: tunnel.UDP, Name: "game"}
)

func portClaim(key ed25519.PrivateKey, ports ...tunnel.Port) tunnel.Claim {
	claim := claimOf(key, "")
	claim.Ports = ports
	return claim
}

// portAgent connects an agent that claims ports, and accepts their visitors.
func (w *world) portAgent(key ed25519.PrivateKey, ports ...tunnel.Port) *portAgent {
	w.t.Helper()
	hello, err := json.Marshal(portClaim(key, ports...))
	if err != nil {
		w.t.Fatal(err)
	}
	s, answer, err := tunnel.Dial(w.t.Context(), tunnel.Config{Key: key, Dial: w.lanes, Hello: hello})
	if err != nil {
		w.t.Fatal(err)
	}
	a := &portAgent{agent: &agent{Session: s, t: w.t}, visitors: make(chan *tunnel.Stream, 100)}
	if err := json.Unmarshal(answer, &a.grant); err != nil {
		w.t.Fatalf("the grant %q: %v", answer, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(a.visitors)
		for {
			st, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			select {
			case a.visitors <- st:
			case <-s.Done():
				return
			}
		}
	}()
	w.t.Cleanup(func() {
		s.Close(nil)
		<-done
	})
	eventually(w.t, "the relay has the session", func() bool {
		share := w.shares.forKey(publicKey(key))
		w.ports.mu.Lock()
		defer w.ports.mu.Unlock()
		for _, one := range w.ports.ofLocked(publicKey(key)) {
			if one.share != share || !one.claimed.IsZero() {
				return false
			}
		}
		return share != nil
	})
	return a
}

// dial opens a connection to a granted port.
func (a *portAgent) dial(network string, i int) net.Conn {
	a.t.Helper()
	if i >= len(a.grant.Ports) || a.grant.Ports[i] == 0 {
		a.t.Fatalf("port %d of %v is not granted: %s", i, a.grant.Ports, a.grant.PortsRefused)
	}
	c, err := net.Dial(network, net.JoinHostPort("127.0.0.1", strconv.Itoa(a.grant.Ports[i])))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// visitor returns the next visitor's stream.
func (a *portAgent) visitor() *tunnel.Stream {
	a.t.Helper()
	st := within(a.t, "a visitor", a.visitors)
	_ = st.SetDeadline(time.Now().Add(patience))
	return st
}

// isRefused reports whether nothing listens on a port any more.
func isRefused(port int) bool {
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// TestTCPPort: the bytes of a connection pass both ways untouched, and each direction
// ends separately.
func TestTCPPort(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) {
		withPorts(t)(o)
		o.Access = jsonLog(&log)
	})
	a := w.portAgent(testKey("a"), postgres)
	if n := a.grant.Ports[0]; len(a.grant.Ports) != 1 || !w.opts.TCPPorts.Has(uint16(n)) || a.grant.PortsRefused != "" {
		t.Errorf("the grant is %+v", a.grant)
	}
	c := a.dial("tcp", 0).(*net.TCPConn)
	sent, answer := make([]byte, 1<<20), make([]byte, 1<<20)
	for i := range sent {
		sent[i], answer[i] = byte(i*7), byte(i*13)
	}
	go func() {
		_, _ = c.Write(sent)
		_ = c.CloseWrite()
	}()
	st := a.visitor()
	head, err := tunnel.ParseVisitor(st.Head())
	if want := (tunnel.Visitor{Addr: c.LocalAddr().(*net.TCPAddr).AddrPort(), Scheme: tunnel.TCP, Host: "postgres"}); err != nil || head != want {
		t.Errorf("the visitor is %+v, %v; want %+v", head, err, want)
	}
	if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("the agent read %d bytes, %v", len(got), err)
	}
	// The visitor's direction has ended; the other one is open.
	if _, err := st.Write(answer); err != nil {
		t.Fatal(err)
	}
	_ = st.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("the visitor read %d bytes, %v", len(got), err)
	}
	eventually(t, "the connection is not counted any more", func() bool {
		_, visitors, _ := w.conns.counts()
		return visitors == 0 && w.upgrades.Load() == 0
	})
	eventually(t, "the log has a line", func() bool {
		return strings.Contains(log.String(), `"msg":"port visit","from":"127.0.0.1","port":"tcp:`) && strings.Contains(log.String(), `"in":1048576,"out":1048576`)
	})
	if text := metricsOf(t, w); !strings.Contains(text, `devproxy_relay_port_visits_total{network="tcp",outcome="ended"} 1`) || !strings.Contains(text, "devproxy_relay_ports 1") {
		t.Errorf("the metrics are\n%s", text)
	}
}

// TestTCPPortServerFirst: a server that speaks first is heard, and its end too, while the
// visitor has not sent a byte.
func TestTCPPortServerFirst(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), postgres)
	c := a.dial("tcp", 0).(*net.TCPConn)
	st := a.visitor()
	if _, err := io.WriteString(st, "220 hello\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = st.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "220 hello\r\n" {
		t.Errorf("the visitor read %q, %v", got, err)
	}
	_, _ = io.WriteString(c, "bye")
	_ = c.CloseWrite()
	if got, err := io.ReadAll(st); err != nil || string(got) != "bye" {
		t.Errorf("the agent read %q, %v", got, err)
	}
}

// wantReset: a connection that broke off does not look complete.
func wantReset(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: the visitor reads %v, not a reset", what, err)
	}
}

// TestTCPPortReset: what breaks at one end is a reset at the other.
func TestTCPPortReset(t *testing.T) {
	w := start(t, withPorts(t))
	key := testKey("a")
	a := w.portAgent(key, postgres)

	c := a.dial("tcp", 0).(*net.TCPConn)
	st := a.visitor()
	_ = c.SetLinger(0)
	c.Close()
	if _, err := io.ReadAll(st); !errors.Is(err, tunnel.ErrReset) {
		t.Errorf("after the visitor's reset, the agent reads %v", err)
	}

	c = a.dial("tcp", 0).(*net.TCPConn)
	a.visitor().Reset()
	wantReset(t, "a stream that was reset", c)

	c = a.dial("tcp", 0).(*net.TCPConn)
	if _, err := io.WriteString(a.visitor(), "half of"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	a.Close(nil)
	wantReset(t, "an agent that has gone", c)
	eventually(t, "the port is closed", func() bool { return isRefused(a.grant.Ports[0]) })
	if n := w.ports.count(); n != 0 {
		t.Errorf("%d ports are open", n)
	}

	again := w.portAgent(key, postgres)
	if !slices.Equal(again.grant.Ports, a.grant.Ports) {
		t.Errorf("the same key got %v, and %v before", again.grant.Ports, a.grant.Ports)
	}
	c = again.dial("tcp", 0).(*net.TCPConn)
	again.visitor()
	if err := w.opts.Registry.SetStanding(t.Context(), publicKey(key), Revoked); err != nil {
		t.Fatal(err)
	}
	wantReset(t, "a key that was revoked", c)
	eventually(t, "the port of the revoked key is closed", func() bool { return isRefused(a.grant.Ports[0]) })
}

// TestTCPPortStalled: a visitor can send no more than fits while the agent does not read,
// and the other way round.
func TestTCPPortStalled(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), postgres)
	c := a.dial("tcp", 0).(*net.TCPConn)
	_ = c.SetWriteBuffer(64 << 10)
	st := a.visitor()
	sent := fill(t, c)
	if most := int64(tunnel.FirstCredit + 16<<20); sent > most { // with the buffers of two sockets
		t.Errorf("%d bytes left for an agent that does not read", sent)
	}
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	go func() { _ = c.CloseWrite() }()
	if n, err := io.Copy(io.Discard, st); err != nil || n != sent {
		t.Errorf("the agent read %d of %d bytes, %v", n, sent, err)
	}
	answered := fill(t, st)
	if most := int64(tunnel.FirstCredit + 16<<20); answered > most {
		t.Errorf("%d bytes left for a visitor that does not read", answered)
	}
	_ = st.SetWriteDeadline(time.Now().Add(patience))
	_ = st.CloseWrite()
	if n, err := io.Copy(io.Discard, c); err != nil || n != answered {
		t.Errorf("the visitor read %d of %d bytes, %v", n, answered, err)
	}
}

// fill writes until nothing has moved for a while.
func fill(t *testing.T, c net.Conn) (written int64) {
	t.Helper()
	for block := make([]byte, 16<<10); ; {
		_ = c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Write(block)
		written += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return written
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPortsStay: a key gets the same ports after restarts of agent and relay, and no
// other key gets them.
func TestPortsStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	two := freeRange(t, 2)
	begin := func() (*world, *File) {
		file, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return start(t, func(o *Options) { o.Registry, o.TCPPorts = file, two }), file
	}
	w, file := begin()
	first := w.portAgent(testKey("a"), postgres)
	second := w.portAgent(testKey("b"), postgres)
	if first.grant.Ports[0] == second.grant.Ports[0] || first.grant.Ports[0]*second.grant.Ports[0] == 0 {
		t.Fatalf("two keys got %v and %v", first.grant.Ports, second.grant.Ports)
	}
	first.Close(nil)
	eventually(t, "the first agent is gone", func() bool { return w.ports.count() == 1 })
	third := w.portAgent(testKey("c"), postgres)
	if third.grant.Ports[0] != 0 || !strings.Contains(third.grant.PortsRefused, "tcp postgres: all 2 TCP ports of this relay are reserved") {
		t.Errorf("the third key got %+v", third.grant)
	}
	if got := w.portAgent(testKey("a"), postgres).grant; !slices.Equal(got.Ports, first.grant.Ports) {
		t.Errorf("after a restart of the agent: %v, and %v before", got.Ports, first.grant.Ports)
	}
	w.Close()
	file.Close()
	w, file = begin()
	defer file.Close()
	for name, before := range map[string]tunnel.Grant{"b": second.grant, "a": first.grant} {
		a := w.portAgent(testKey(name), postgres)
		if !slices.Equal(a.grant.Ports, before.Ports) {
			t.Errorf("after a restart of the relay, %s got %v, and %v before", name, a.grant.Ports, before.Ports)
		}
		a.dial("tcp", 0)
		a.visitor()
	}
}

// TestPortTaken: a port that another program of the server has is passed over.
func TestPortTaken(t *testing.T) {
	two := freeRange(t, 2)
	w := start(t, func(o *Options) { o.TCPPorts = two })
	a := w.portAgent(testKey("a"), postgres)
	a.Close(nil)
	eventually(t, "the port is closed", func() bool { return w.ports.count() == 0 })
	other, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(a.grant.Ports[0])))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	again := w.portAgent(testKey("a"), postgres)
	if again.grant.Ports[0] == a.grant.Ports[0] || again.grant.Ports[0] == 0 {
		t.Errorf("the key got %v while another program has %v", again.grant.Ports, a.grant.Ports)
	}
}

// TestPortsNotGranted: a relay without ports grants none and says why; agents that know
// no ports get the grant that they always got.
func TestPortsNotGranted(t *testing.T) {
	w := start(t, nil)
	a := w.portAgent(testKey("a"), postgres, game)
	if want := "tcp postgres: not available: this relay has no TCP ports; ask its operator to start it with --tcp-ports 20000-20999; udp game: not available: this relay has no UDP ports"; !slices.Equal(a.grant.Ports, []int{0, 0}) || !strings.HasPrefix(a.grant.PortsRefused, want) {
		t.Errorf("the grant is %+v", a.grant)
	}
	old := w.agent(testKey("b"), claimOf(testKey("b"), ""), http.HandlerFunc(echo))
	if old.grant.Ports != nil || old.grant.PortsRefused != "" {
		t.Errorf("an agent without ports got %+v", old.grant)
	}
	_, err := w.tryAgent(testKey("c"), portClaim(testKey("c"), postgres, postgres), nil)
	if refused, ok := errors.AsType[*tunnel.Refusal](err); !ok || refused.Code != tunnel.CodeBadClaim || !strings.Contains(refused.Message, "claimed twice") {
		t.Errorf("a claim with a port twice: %v", err)
	}
}

// TestPortsReclaimed: a claim in a running session opens and closes ports, with their
// connections; the end of the link closes all.
func TestPortsReclaimed(t *testing.T) {
	w := start(t, withPorts(t))
	key := testKey("a")
	a := w.portAgent(key, postgres)
	c := a.dial("tcp", 0)
	a.visitor()
	redis := tunnel.Port{Network: tunnel.TCP, Name: "redis"}
	reply := a.ask(tunnel.Request{Op: "claim", Claim: new(portClaim(key, redis, postgres))})
	if reply.Grant == nil || len(reply.Grant.Ports) != 2 || reply.Grant.Ports[1] != a.grant.Ports[0] {
		t.Fatalf("the reply is %+v", reply)
	}
	if _, err := io.WriteString(c, "still open"); err != nil {
		t.Error(err)
	}
	a.grant = *reply.Grant
	a.dial("tcp", 0)
	if head, err := tunnel.ParseVisitor(a.visitor().Head()); err != nil || head.Host != "redis" {
		t.Errorf("the visitor of the new port is %+v, %v", head, err)
	}
	a.ask(tunnel.Request{Op: "claim", Claim: new(portClaim(key, redis))})
	wantReset(t, "a port that is not shared any more", c)
	if !isRefused(reply.Grant.Ports[1]) {
		t.Error("a port that is not shared any more is open")
	}
	a.ask(tunnel.Request{Op: "end"})
	if !isRefused(reply.Grant.Ports[0]) {
		t.Error("a port is open after the end of the link")
	}
}

// TestPortsTakenOver: the next session of a key has the ports of the one before, and a
// claim that never becomes a session leaves none open.
func TestPortsTakenOver(t *testing.T) {
	w := start(t, withPorts(t))
	key := testKey("a")
	first := w.portAgent(key, postgres)
	second := w.portAgent(key, postgres)
	within(t, "the first session's end", first.Done())
	eventually(t, "the relay forgets the first session", func() bool {
		w.agents.mu.Lock()
		defer w.agents.mu.Unlock()
		return len(w.agents.sessions[publicKey(key)]) == 1
	})
	second.dial("tcp", 0)
	second.visitor()
	if !slices.Equal(first.grant.Ports, second.grant.Ports) {
		t.Errorf("the ports were %v and are %v", first.grant.Ports, second.grant.Ports)
	}

	grant := &tunnel.Grant{}
	from := w.conns.network(netip.MustParseAddr("127.0.0.1"))
	if _, err := w.agents.grantPorts(t.Context(), publicKey(testKey("b")), from, []tunnel.Port{postgres, game}, grant); err != nil || w.ports.count() != 3 {
		t.Fatalf("%d ports are open, %v", w.ports.count(), err)
	}
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(grant.Ports[0])))
	if err == nil {
		wantReset(t, "a port without a session", c)
		c.Close()
	} else if !errors.Is(err, syscall.ECONNRESET) { // at once
		t.Error(err)
	}
	w.ports.sweep(time.Now().Add(pendingFor + time.Second))
	if !isRefused(grant.Ports[0]) || w.ports.count() != 1 {
		t.Errorf("%d ports are open", w.ports.count())
	}
}

// TestPortLimits: connections to ports count like those of other visitors.
func TestPortLimits(t *testing.T) {
	w := start(t, func(o *Options) {
		withPorts(t)(o)
		o.Limits.RequestsPerShare, o.Limits.RequestsPerVisitor = 4, 2
		o.Limits.Wait = 50 * time.Millisecond
	})
	a := w.portAgent(testKey("a"), postgres)
	for range 2 {
		a.dial("tcp", 0)
		a.visitor()
	}
	if _, visitors, _ := w.conns.counts(); visitors != 2 {
		t.Errorf("%d connections of visitors are counted", visitors)
	}
	wantReset(t, "more connections than one visitor may have to a share", a.dial("tcp", 0))
	if text := metricsOf(t, w); !strings.Contains(text, `devproxy_relay_limited_total{limit="share"} 1`) {
		t.Errorf("the metrics are\n%s", text)
	}
	eventually(t, "the reset connection is not counted any more", func() bool {
		_, visitors, _ := w.conns.counts()
		return visitors == 2
	})
}

// TestPortsHandedOver: the relay that takes over opens the ports that its predecessor has
// closed, and no agent is refused. Open connections go on.
func TestPortsHandedOver(t *testing.T) {
	w := start(t, withPorts(t))
	key := testKey("a")
	first := w.portAgent(key, postgres, game)
	c := first.dial("tcp", 0).(*net.TCPConn)
	st := first.visitor()
	next, dial := successor(t, w)
	retired := make(chan struct{})
	claimed := make(chan *portAgent, 1)
	go func() { claimed <- next.portAgent(key, postgres, game) }() // even before its predecessor has closed them
	go func() {
		defer close(retired)
		<-time.After(100 * time.Millisecond)
		w.Retire(context.Background(), dial)
		w.Close()
	}()
	second := within(t, "the agent's session with the successor", claimed)
	if !slices.Equal(first.grant.Ports, second.grant.Ports) {
		t.Fatalf("the ports were %v and are %v: %s", first.grant.Ports, second.grant.Ports, second.grant.PortsRefused)
	}
	second.dial("tcp", 0)
	second.visitor()
	datagram(t, second.dial("udp", 1), "ping")
	second.visitor()
	if _, err := io.WriteString(c, "through the first relay"); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	if got, err := io.ReadAll(st); err != nil || string(got) != "through the first relay" {
		t.Errorf("the agent read %q, %v", got, err)
	}
	_ = st.Close()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the visitor read %v", err)
	}
	within(t, "the end of the first relay", retired)
}

func datagram(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// TestPortDescriptors: connections leave the ports of shares their descriptors.
func TestPortDescriptors(t *testing.T) {
	for _, test := range []struct{ descriptors, most int }{{5000, 5000 - 2000 - ownFiles}, {3000, 1500 - ownFiles}} {
		w := start(t, func(o *Options) {
			o.TCPPorts, o.UDPPorts = PortRange{20000, 20999}, PortRange{20000, 20999}
			o.Limits.Descriptors = test.descriptors
		})
		if w.conns.most != test.most {
			t.Errorf("with %d descriptors, connections may have %d; want %d", test.descriptors, w.conns.most, test.most)
		}
	}
}

// TestPortsLeak: nothing of a relay is left after its end, with ports and visitors in
// every state.
func TestPortsLeak(t *testing.T) {
	w := start(t, withPorts(t))
	a := w.portAgent(testKey("a"), postgres, game)
	c := a.dial("tcp", 0)
	a.visitor()
	datagram(t, a.dial("udp", 1), "ping")
	a.visitor()
	w.Close()
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("a connection looks complete after Close")
	}
	if n := w.ports.flows.count(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
	for _, network := range []string{"tcp", "udp"} {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(a.grant.Ports[map[string]int{"tcp": 0, "udp": 1}[network]]))
		var err error
		var socket io.Closer
		if network == "tcp" {
			socket, err = net.Listen(network, address)
		} else {
			socket, err = net.ListenPacket(network, address)
		}
		if err != nil {
			t.Fatalf("the port is still open: %v", err)
		}
		socket.Close()
	}
}

// metricsOf returns the relay's metrics as Prometheus gets them.
func metricsOf(t *testing.T, w *world) string {
	t.Helper()
	answer := httptest.NewRecorder()
	w.Admin().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return answer.Body.String()
}

func jsonLog(to io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(to, nil)) }

// TestPortsReleased: the end of a session does not close a port that was granted to the
// next session of its key; handing over closes the sockets at once, and no connection.
func TestPortsReleased(t *testing.T) {
	w := start(t, withPorts(t))
	key := testKey("a")
	a := w.portAgent(key, postgres)
	c := a.dial("tcp", 0)
	st := a.visitor()
	from := w.conns.network(netip.MustParseAddr("127.0.0.1"))
	if _, err := w.agents.grantPorts(t.Context(), publicKey(key), from, []tunnel.Port{postgres}, &tunnel.Grant{}); err != nil {
		t.Fatal(err)
	}
	w.ports.release(w.shares.forKey(publicKey(key)))
	if w.ports.count() != 1 || isRefused(a.grant.Ports[0]) {
		t.Error("the port of the next session is closed")
	}
	w.ports.handOver()
	if !isRefused(a.grant.Ports[0]) {
		t.Error("the port is open after it was handed over")
	}
	if _, err := w.agents.grantPorts(t.Context(), publicKey(key), from, []tunnel.Port{postgres}, &tunnel.Grant{}); !errors.Is(err, ErrSuspended) {
		t.Errorf("a claim after that: %v", err)
	}
	if _, err := io.WriteString(c, "still open"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(st, make([]byte, 10)); err != nil {
		t.Errorf("an open connection: %v", err)
	}
}
