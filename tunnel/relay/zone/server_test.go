package zone

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/devproxy/devproxy/tunnel/leaktest"
)

// patience bounds what should happen at once; only a failing test waits for it.
const patience = 30 * time.Second

// testServer is a server on loopback.
type testServer struct {
	*Server
	sockets  Sockets
	udp, tcp string
	stop     context.CancelFunc
	done     chan error
}

func serve(t *testing.T) *testServer {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { // another program has that port
			t.Fatal(err)
		}
	}
	s := &testServer{
		Server: NewServer(newZone(t), slog.New(slog.DiscardHandler)), sockets: Sockets{Packets: []net.PacketConn{packets}, Listeners: []net.Listener{listener}},
		udp: packets.LocalAddr().String(), tcp: listener.Addr().String(),
	}
	s.start()
	t.Cleanup(func() {
		s.end(t)
		packets.Close()
		listener.Close()
	})
	return s
}

func (s *testServer) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.done = cancel, make(chan error, 1)
	go func() { s.done <- s.Serve(ctx, s.sockets) }()
}

func (s *testServer) end(t *testing.T) {
	t.Helper()
	s.stop()
	select {
	case err := <-s.done:
		if err != nil {
			t.Error(err)
		}
		s.done <- nil
	case <-time.After(connectionTime / 2): // it waits for no connection
		t.Fatal("the server does not stop:\n" + leaktest.Running("relay/zone."))
	}
}

func exchange(t *testing.T, network, address string, q *dns.Msg) *dns.Msg {
	t.Helper()
	client := &dns.Client{Net: network, Timeout: patience}
	reply, _, err := client.Exchange(q, address)
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	return reply
}

func question(name string, kind uint16) *dns.Msg {
	q := new(dns.Msg)
	return q.SetQuestion(name, kind)
}

// TestServe: the server answers over UDP and TCP, stops with connections open, and
// continues with the same sockets, as after a handover that failed.
func TestServe(t *testing.T) {
	s := serve(t)
	for range 2 {
		for network, address := range map[string]string{"udp": s.udp, "tcp": s.tcp} {
			if reply := exchange(t, network, address, question("shop.t.example.com.", dns.TypeA)); len(reply.Answer) != 1 {
				t.Errorf("%s: %v", network, reply)
			}
		}
		open, err := dns.Dial("tcp", s.tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		if err := open.WriteMsg(question("t.example.com.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		if _, err := open.ReadMsg(); err != nil { // it is accepted
			t.Fatal(err)
		}
		s.end(t)
		s.start()
	}
	if answered := testutil.ToFloat64(s.queries.WithLabelValues("udp", outcomeAnswered)); answered != 2 {
		t.Errorf("%v queries are counted, want 2", answered)
	}
}

// TestServeClosed: a socket that was closed ends the server with an error.
func TestServeClosed(t *testing.T) {
	s := serve(t)
	exchange(t, "udp", s.udp, question("t.example.com.", dns.TypeA)) // it serves
	s.sockets.Packets[0].Close()
	select {
	case err := <-s.done:
		if err == nil || !strings.Contains(err.Error(), "cannot answer DNS queries on "+s.udp) {
			t.Errorf("the error is %v", err)
		}
		s.done <- nil
	case <-time.After(patience):
		t.Fatal("the server continues")
	}
}

// TestTransfers: a transfer is refused over TCP too.
func TestTransfers(t *testing.T) {
	s := serve(t)
	for _, kind := range []uint16{dns.TypeAXFR, dns.TypeIXFR} {
		if reply := exchange(t, "tcp", s.tcp, question("t.example.com.", kind)); reply.Rcode != dns.RcodeRefused || len(reply.Answer) > 0 {
			t.Errorf("%s: %v", dns.TypeToString[kind], reply)
		}
	}
}

// TestTruncated: an answer that does not fit into a datagram is whole over TCP.
func TestTruncated(t *testing.T) {
	s := serve(t)
	const name = "_acme-challenge.t.example.com"
	for i := range 20 {
		if err := s.zone.AddText(name, fmt.Sprintf("%043d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if reply := exchange(t, "udp", s.udp, question(name+".", dns.TypeTXT)); !reply.Truncated {
		t.Error("not truncated")
	}
	if reply := exchange(t, "tcp", s.tcp, question(name+".", dns.TypeTXT)); len(reply.Answer) != 20 {
		t.Errorf("%d answers over TCP", len(reply.Answer))
	}
}

// TestStreamLimits: one network has so many connections and no more, each of them
// serves so many queries, and the oldest gives way when all networks have too many.
func TestStreamLimits(t *testing.T) {
	s := serve(t)
	var open []net.Conn
	for range maxPerNetwork {
		c, err := net.Dial("tcp", s.tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	// The one that is accepted last has been counted once it is answered.
	last := &dns.Conn{Conn: open[len(open)-1]}
	for i := range maxQueries {
		if err := last.WriteMsg(question("t.example.com.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		if _, err := last.ReadMsg(); err != nil {
			t.Fatalf("query %d: %v", i, err)
		}
	}
	_ = last.WriteMsg(question("t.example.com.", dns.TypeA)) // it may be closed already
	if _, err := last.ReadMsg(); err == nil {
		t.Error("a connection serves queries without end")
	}

	limited := streams{count: map[netip.Prefix]int{}}
	var all []clientConn
	for i := range maxConnections + 3 {
		c := connFrom(t, [4]byte{10, 0, byte(i), 1})
		if all = append(all, c); !limited.add(c) {
			t.Fatalf("connection %d is refused", i)
		}
	}
	for i, c := range all {
		if *c.closed != (i < 3) {
			t.Errorf("connection %d is closed: %v", i, *c.closed)
		}
		limited.remove(c)
	}
	if len(limited.open) > 0 || len(limited.count) > 0 {
		t.Errorf("counted are %d, %v", len(limited.open), limited.count)
	}
	same := streams{count: map[netip.Prefix]int{}}
	for i := range maxPerNetwork + 1 {
		c := connFrom(t, [4]byte{10, 0, 0, byte(i)})
		if added := same.add(c); added != (i < maxPerNetwork) {
			t.Fatalf("connection %d of one network: %v", i, added)
		}
		if i == maxPerNetwork-1 {
			same.remove(c)
			same.add(c)
		}
	}
}

// connFrom returns a connection of a client with an address.
func connFrom(t *testing.T, address [4]byte) clientConn {
	near, far := net.Pipe()
	t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return clientConn{near, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(address), 53)), new(bool)}
}

type clientConn struct {
	net.Conn
	remote net.Addr
	closed *bool
}

func (c clientConn) RemoteAddr() net.Addr { return c.remote }
func (c clientConn) Close() error {
	*c.closed = true
	return c.Conn.Close()
}

// TestRates: a network that asks too much gets every second query truncated and the
// others dropped, others are answered, and all together have a limit.
func TestRates(t *testing.T) {
	r, now := newRates(), time.Now()
	count := func(from string, n int) (verdicts [3]int) {
		for range n {
			verdicts[r.take(netip.MustParseAddr(from), now)]++
		}
		return verdicts
	}
	if got := count("198.51.100.1", answersBurst+40); got != [3]int{answersBurst, 20, 20} {
		t.Errorf("one network: %v", got)
	}
	if got := count("198.51.100.200", 2); got != [3]int{0, 1, 1} {
		t.Errorf("its neighbour: %v", got)
	}
	if got := count("::ffff:198.51.100.9", 2); got != [3]int{0, 1, 1} {
		t.Errorf("the same network in IPv6: %v", got)
	}
	if got := count("2001:db8::1", 1); got != [3]int{1, 0, 0} {
		t.Errorf("another network: %v", got)
	}
	now = now.Add(time.Second)
	if got := count("198.51.100.1", answersPerSecond+2); got != [3]int{answersPerSecond, 1, 1} {
		t.Errorf("a second later: %v", got)
	}
	r = newRates()
	answered := 0
	for i := range 2 * maxNetworks {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		if r.take(from, now) == verdictAnswer {
			answered++
		}
	}
	if answered != allBurst {
		t.Errorf("%d answers to all networks, want %d", answered, allBurst)
	}
	r = newRates()
	busy := netip.MustParseAddr("198.51.100.1")
	r.take(busy, now)
	known := r.networks[networkOf(busy)]
	for i := range 2 * maxNetworks {
		r.take(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), now)
		if i%100 == 0 {
			r.take(busy, now)
		}
	}
	if r.networks[networkOf(busy)] != known {
		t.Error("a network that keeps asking is forgotten, and gets a new allowance")
	}
	if len(r.networks) != maxNetworks || r.recent.Len() != maxNetworks {
		t.Errorf("%d networks are remembered", len(r.networks))
	}
}

// TestFlood: beyond the limit a client that asks over TCP is still answered.
func TestFlood(t *testing.T) {
	s := serve(t)
	conn, err := net.Dial("udp", s.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	query, err := question("shop.t.example.com.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	response := make([]byte, maxQuery)
	for truncated := false; !truncated; { // as fast as answers come
		for range 2 { // of which one may be dropped
			if _, err := conn.Write(query); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(response)
		if err != nil {
			t.Fatal(err)
		}
		truncated = response[2]&2 != 0
		if truncated && n != len(query) {
			t.Errorf("a truncated answer of %d bytes to %d", n, len(query))
		}
	}
	if reply := exchange(t, "tcp", s.tcp, question("shop.t.example.com.", dns.TypeA)); len(reply.Answer) != 1 {
		t.Errorf("over TCP: %v", reply)
	}
}

// TestDig: a client that others have written reads the answers.
func TestDig(t *testing.T) {
	dig, err := exec.LookPath("dig")
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("needs dig: make deps")
	default:
		t.Skip("needs dig: make deps")
	}
	s := serve(t)
	if err := s.zone.AddText("_acme-challenge.t.example.com", "the text"); err != nil {
		t.Fatal(err)
	}
	run := func(address string, args ...string) string {
		t.Helper()
		host, port, _ := net.SplitHostPort(address)
		out, err := exec.Command(dig, append([]string{"@" + host, "-p", port, "+time=10", "+tries=2"}, args...)...).Output()
		if err != nil {
			t.Fatalf("dig %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, test := range []struct {
		address string
		args    []string
		want    []string
	}{
		{s.udp, []string{"shop.t.example.com"}, []string{"status: NOERROR", "flags: qr aa rd;", "203.0.113.7", "WARNING: recursion requested but not available"}},
		{s.udp, []string{"+bufsize=4096", "+dnssec", "t.example.com", "SOA"}, []string{"EDNS: version: 0", "udp: 1232", "ns.t.example.com. hostmaster.t.example.com."}},
		{s.udp, []string{"_acme-challenge.t.example.com", "TXT"}, []string{`"the text"`}},
		{s.tcp, []string{"+tcp", "_acme-challenge.t.example.com", "TXT"}, []string{`"the text"`}},
		{s.udp, []string{"_x.t.example.com"}, []string{"status: NXDOMAIN", "SOA"}},
		{s.udp, []string{"shop.t.example.com", "MX"}, []string{"status: NOERROR", "ANSWER: 0", "SOA"}},
		{s.udp, []string{"+notcp", "t.example.com", "ANY"}, []string{`HINFO`, `"RFC8482" ""`}},
		{s.udp, []string{"www.example.org"}, []string{"status: REFUSED"}},
		{s.udp, []string{"version.bind", "TXT", "CH"}, []string{"status: REFUSED"}},
		{s.udp, []string{"+edns=1", "+noednsneg", "t.example.com"}, []string{"status: BADVERS"}},
		{s.udp, []string{"+opcode=notify", "t.example.com"}, []string{"status: NOTIMP"}},
		{s.tcp, []string{"t.example.com", "AXFR"}, []string{"Transfer failed."}},
	} {
		out := run(test.address, test.args...)
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("dig %q has no %q:\n%s", test.args, want, out)
			}
		}
	}
}

// TestStreamGarbage: what is not a query ends a connection, or gets FORMERR.
func TestStreamGarbage(t *testing.T) {
	s := serve(t)
	for name, test := range map[string]struct {
		send []byte
		want int // bytes of the response
	}{
		"a long garbage": {append([]byte{0, 20}, make([]byte, 20)...), 2 + headerBytes},
		"a short one":    {[]byte{0, 3, 1, 2, 3}, 0},
		"no length":      {[]byte{0}, 0},
	} {
		c, err := net.Dial("tcp", s.tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(test.send); err != nil {
			t.Fatal(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || len(got) != test.want {
			t.Errorf("%s: % x, %v; want %d bytes", name, got, err, test.want)
		}
	}
}
