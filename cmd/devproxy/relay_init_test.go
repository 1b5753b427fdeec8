package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/devproxy/devproxy/tunnel/relay/delegation"
)

// parentServer is the resolver of a test, and the server of the parent domain. It asks
// the relay's server about names that are delegated to it.
type parentServer struct {
	mu      sync.Mutex
	records []dns.RR
	relay   string // address of the relay's server
}

func startParentServer(t *testing.T) (*parentServer, delegation.Checker) {
	t.Helper()
	s := &parentServer{}
	s.add(t, "example.com. 60 NS ns1.example.net.", "ns1.example.net. 60 A 127.0.0.1")
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	runDNS(t, &dns.Server{PacketConn: packets, Handler: s})
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", packets.LocalAddr().String())
	}}
	return s, delegation.Checker{Resolver: resolver, Port: packets.LocalAddr().(*net.UDPAddr).Port}
}

// runDNS runs a DNS server until the test ends.
func runDNS(t *testing.T, server *dns.Server) {
	t.Helper()
	started, done := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(started) }
	go func() { done <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-done); err != nil {
			t.Error(err)
		}
	})
}

func (s *parentServer) add(t *testing.T, records ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range records {
		record, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		s.records = append(s.records, record)
	}
}

// ServeDNS implements dns.Handler.
func (s *parentServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := new(dns.Msg).SetReply(q)
	name, delegated := q.Question[0].Name, false
	for _, record := range s.records {
		if record.Header().Rrtype == dns.TypeNS && dns.IsSubDomain("t.example.com.", record.Header().Name) && dns.IsSubDomain(record.Header().Name, name) {
			delegated = true
		}
		owner := record.Header().Name
		if wild, is := strings.CutPrefix(owner, "*."); is && strings.HasPrefix(name, "check-") && strings.HasSuffix(name, "."+wild) {
			owner = name
			record = dns.Copy(record)
			record.Header().Name = name
		}
		if strings.EqualFold(owner, name) && record.Header().Rrtype == q.Question[0].Qtype {
			reply.Answer = append(reply.Answer, record)
		}
	}
	if q.RecursionDesired && delegated {
		if answer, err := dns.Exchange(q, s.relay); err == nil {
			reply = answer
		} else {
			reply.Rcode = dns.RcodeServerFailure
		}
	}
	if reply.RecursionAvailable = q.RecursionDesired; reply.RecursionAvailable && len(reply.Answer) == 0 && reply.Rcode == dns.RcodeSuccess {
		reply.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(reply) // the client asks again
}

// initSetup is a `relay init` of t.example.com, whose text is in out and err.
type initSetup struct {
	*relayInit
	out, err logBuffer
}

func newInitSetup(t *testing.T) (*initSetup, *parentServer) {
	t.Helper()
	parent, checker := startParentServer(t)
	parent.relay = freeDNSAddress(t)
	s := &initSetup{}
	s.relayInit = &relayInit{streams: &streams{Out: &s.out, Err: &s.err}, checker: checker, poll: 10 * time.Millisecond}
	s.unit = filepath.Join(t.TempDir(), "devproxy-relay.service")
	s.relay.domain = "t.example.com"
	s.relay.zone.addresses, s.relay.zone.dns = []string{"203.0.113.7"}, []string{parent.relay}
	s.relay.zone.email = "ada@example.com"
	return s, parent
}

// freeDNSAddress returns an address that is free for TCP and UDP.
func freeDNSAddress(t *testing.T) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", ln.Addr().String())
		ln.Close()
		if err == nil {
			packets.Close()
			return ln.Addr().String()
		}
	}
}

// waitText waits until a text has been printed.
func waitText(t *testing.T, b *logBuffer, text string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(b.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is never printed; there is\n%s", text, b.String())
		}
	}
}

// TestRelayInit: the command shows the records, says what is still missing each time
// that changes, sees that queries arrive, and writes the unit.
func TestRelayInit(t *testing.T) {
	s, parent := newInitSetup(t)
	s.yes = true
	done := make(chan error, 1)
	go func() { done <- s.run(t.Context()) }()
	waitText(t, &s.err, "waiting: t.example.com. NS is missing; ns.t.example.com. A is missing")
	parent.add(t, "t.example.com. 60 NS ns.t.example.com.")
	waitText(t, &s.err, "waiting: ns.t.example.com. A is missing")
	parent.add(t, "ns.t.example.com. 60 A 203.0.113.7")
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, s.err.String())
	}
	for _, want := range []string{
		"Make these DNS records where the parent of t.example.com is managed:\n  t.example.com.     NS  ns.t.example.com.\n  ns.t.example.com.  A   203.0.113.7\n",
	} {
		if !strings.Contains(s.out.String(), want) {
			t.Errorf("standard output has no %q:\n%s", want, s.out.String())
		}
	}
	for _, want := range []string{"asking the servers of example.com: ns1.example.net\n", "the records are there\n", "DNS queries reach this server\n", "wrote " + s.unit + "\n", "start the relay:\n  sudo systemctl daemon-reload && sudo systemctl enable --now devproxy-relay.service\n"} {
		if !strings.Contains(s.err.String(), want) {
			t.Errorf("standard error has no %q:\n%s", want, s.err.String())
		}
	}
	unit := readText(t, s.unit)
	if want := " relay --domain t.example.com --address 203.0.113.7 --dns " + parent.relay + " --acme-email ada@example.com --admin 9090\n"; !strings.Contains(unit, want) {
		t.Errorf("the unit has no %q:\n%s", want, unit)
	}

	// The same command again changes nothing; with other flags it does not overwrite.
	again := *s.relayInit
	again.relay.zone = zoneOptions{addresses: s.relay.zone.addresses, dns: s.relay.zone.dns, email: s.relay.zone.email}
	if err := again.run(t.Context()); err != nil || !strings.Contains(s.err.String(), s.unit+" is the same already") {
		t.Errorf("again: %v", err)
	}
	again.relay.zone = zoneOptions{addresses: s.relay.zone.addresses, dns: s.relay.zone.dns}
	if err := again.run(t.Context()); err == nil || !strings.Contains(err.Error(), s.unit+" exists and is different") || readText(t, s.unit) != unit {
		t.Errorf("with other flags: %v", err)
	}
}

// TestRelayInitStopped: Ctrl-C during the wait says what is missing.
func TestRelayInitStopped(t *testing.T) {
	s, _ := newInitSetup(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	waitText(t, &s.err, "waiting: ")
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "stopped while the relay's domain does not lead here: t.example.com. NS is missing") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(s.unit); err == nil {
		t.Error("the unit is written")
	}
}

// TestRelayInitFirewall: records that are right do not help while no query arrives.
func TestRelayInitFirewall(t *testing.T) {
	s, parent := newInitSetup(t)
	parent.mu.Lock()
	parent.relay = freeDNSAddress(t) // where nothing answers
	parent.mu.Unlock()
	parent.add(t, "t.example.com. 60 NS ns.t.example.com.", "ns.t.example.com. 60 A 203.0.113.7")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	waitText(t, &s.err, "open port 53, UDP and TCP, of 203.0.113.7 in every firewall")
	cancel()
	if err := <-done; err == nil {
		t.Error("the wait ends without an answer")
	}
}

// TestRelayInitCheck: --check looks once, and starts nothing.
func TestRelayInitCheck(t *testing.T) {
	s, parent := newInitSetup(t)
	s.check = true
	parent.add(t, "t.example.com. 60 NS ns.t.example.com.", "ns.t.example.com. 60 A 198.51.100.1")
	err := s.run(t.Context())
	if err == nil || err.Error() != "1 of 2 records of t.example.com are not as they should be" {
		t.Errorf("the error is %v", err)
	}
	want := "t.example.com.     NS  ns.t.example.com.  present\nns.t.example.com.  A   203.0.113.7        wrong: it is 198.51.100.1\n"
	if s.out.String() != want {
		t.Errorf("printed is\n%swant\n%s", s.out.String(), want)
	}

	s, parent = newInitSetup(t)
	s.check, s.json = true, true
	parent.add(t, "t.example.com. 60 NS ns.t.example.com.")
	if err := s.run(t.Context()); err == nil || s.out.String() != `{"name":"t.example.com.","type":"NS","value":"ns.t.example.com.","state":"present"}`+"\n"+`{"name":"ns.t.example.com.","type":"A","value":"203.0.113.7","state":"missing"}`+"\n" {
		t.Errorf("%v, printed is\n%s", err, s.out.String())
	}
}

// TestRelayInitStatic: the records of --static are recognized without it.
func TestRelayInitStatic(t *testing.T) {
	s, parent := newInitSetup(t)
	s.container = true
	parent.add(t, "_acme-challenge.t.example.com. 60 NS t.example.com.", "t.example.com. 60 A 203.0.113.7", "*.t.example.com. 60 A 203.0.113.7")
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.err.String(), "only _acme-challenge.t.example.com is delegated, as for --static\n") || !strings.Contains(s.out.String(), " --static ") {
		t.Errorf("printed is\n%s%s", s.out.String(), s.err.String())
	}
}

// TestRelayInitContainer: the command binds the ports to an address, and gives the
// relay its public one.
func TestRelayInitContainer(t *testing.T) {
	s, parent := newInitSetup(t)
	s.container = true
	parent.add(t, "t.example.com. 60 NS ns.t.example.com.", "ns.t.example.com. 60 A 203.0.113.7")
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "  -p " + parent.relay + ":53/udp -p " + parent.relay + ":53/tcp \\\n  -v relay:/data -e DEVPROXY_RELAY_TOKEN \\\n  ghcr.io/devproxy/devproxy --domain t.example.com --address 203.0.113.7 --acme-email ada@example.com\n"
	if !strings.Contains(s.out.String(), want) {
		t.Errorf("printed is\n%swant\n%s", s.out.String(), want)
	}
	if _, err := os.Stat(s.unit); err == nil {
		t.Error("the unit is written")
	}
}

// TestUnitWord: systemd reads every argument as it was given.
func TestUnitWord(t *testing.T) {
	for word, want := range map[string]string{
		"t.example.com": "t.example.com", "a b": `"a b"`, "50%@example.com": `"50%%@example.com"`, `"$x\`: `"\"$$x\\"`, "": `""`,
	} {
		if got := unitWord(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

// TestZoneOptions: the addresses and the authority of a relay of one's own.
func TestZoneOptions(t *testing.T) {
	for name, test := range map[string]struct {
		o    zoneOptions
		want string // part of the error; empty for none
	}{
		"good":            {zoneOptions{addresses: []string{"203.0.113.7", "2001:db8::7"}, dns: []string{"10.0.0.1", "[fd00::1]:5353"}, email: "ada@example.com"}, ""},
		"not an address":  {zoneOptions{addresses: []string{"t.example.com"}}, `--address "t.example.com" is not an IP address of a server`},
		"all addresses":   {zoneOptions{addresses: []string{"0.0.0.0"}}, `--address "0.0.0.0" is not`},
		"not a DNS one":   {zoneOptions{addresses: []string{"203.0.113.7"}, dns: []string{"eth0"}}, `--dns "eth0" is not an IP address`},
		"two authorities": {zoneOptions{staging: true, authority: "https://ca.example/dir"}, "--acme-staging is an authority, and so is --acme-ca"},
		"plain HTTP":      {zoneOptions{authority: "http://ca.example/dir"}, `--acme-ca "http://ca.example/dir" is not an HTTPS URL`},
		"not an email":    {zoneOptions{email: "Ada <ada@example.com>"}, "is not an email address"},
	} {
		err := test.o.check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if test.want == "" && (len(test.o.publicAddresses) != 2 || test.o.dnsAt[0] != netip.MustParseAddrPort("10.0.0.1:"+strconv.Itoa(dnsPort)) || test.o.dnsAt[1].Port() != 5353) {
			t.Errorf("%s: %v, %v", name, test.o.publicAddresses, test.o.dnsAt)
		}
	}
	for address, public := range map[string]bool{"203.0.113.7": true, "2001:db8::7": true, "10.0.0.1": false, "100.64.0.1": false, "127.0.0.1": false, "fd00::1": false, "fe80::1": false, "169.254.0.1": false} {
		if isPublic(netip.MustParseAddr(address)) != public {
			t.Errorf("%s is public: %v", address, !public)
		}
	}
}

// Root may write the unit into a folder where another user has made a link.
func TestRelayInitFollowsNoLink(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target"), filepath.Join(folder, "unit.service")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(link, "text"); err == nil {
		t.Error("the unit is written")
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("the target of the link is written")
	}
}
