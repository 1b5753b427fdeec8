package main

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/devproxy/devproxy/tunnel/relay/ownership"
)

// usersDNSVariable has the address of the usersDNS that a relay under test asks.
const usersDNSVariable = "DEVPROXY_TEST_USERS_DNS"

// scriptDevproxy is the program `devproxy`, whose relays ask the test's DNS for the owners
// of users' domains.
func scriptDevproxy() {
	if host, text, err := net.SplitHostPort(os.Getenv(usersDNSVariable)); err == nil {
		port, _ := strconv.Atoi(text) // of a test
		proverOptions = ownership.Options{Private: true, Port: port, Resolver: &net.Resolver{
			PreferGo: true,
			Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(host, text))
			},
		}}
	}
	main()
}

// usersDNS is the DNS of domains that belong to users of a relay: the servers of all zones,
// and a resolver. Names below the relay's domain are asked of the relay's own server.
type usersDNS struct {
	address string

	mu                sync.Mutex
	records           []dns.RR
	relay, relayAsked string // the domain, and the address of its server
}

// startUsersDNS starts one, which the relays that the test launches later ask.
func startUsersDNS(t *testing.T) *usersDNS {
	t.Helper()
	d := &usersDNS{address: freeDNSAddress(t)}
	packets, err := net.ListenPacket("udp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: d}, {Listener: streams, Handler: d}} {
		runDNS(t, server)
	}
	t.Setenv(usersDNSVariable, d.address)
	return d
}

// set replaces all records: "demo.example.com. 60 CNAME …".
func (d *usersDNS) set(t *testing.T, lines ...string) {
	t.Helper()
	var records []dns.RR
	for _, line := range lines {
		record, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = records
}

// delegate says which server is asked for names below a relay's domain.
func (d *usersDNS) delegate(domain, server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.relay, d.relayAsked = dns.Fqdn(domain), server
}

// ServeDNS implements dns.Handler.
func (d *usersDNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	reply.Authoritative, reply.RecursionAvailable = !q.RecursionDesired, q.RecursionDesired
	question := q.Question[0]
	switch name := dns.CanonicalName(question.Name); {
	case q.RecursionDesired && question.Qtype == dns.TypeNS && dns.CountLabel(name) == 1:
		reply.Answer = append(reply.Answer, &dns.NS{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 1}, Ns: "ns.users."})
	case q.RecursionDesired && question.Qtype == dns.TypeA && name == "ns.users.":
		reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)})
	default:
		reply.Answer = d.find(name, question.Qtype, q.RecursionDesired)
	}
	_ = w.WriteMsg(reply) // the client asks again
}

// find returns the records of a name, and with follow those that its alias leads to.
func (d *usersDNS) find(name string, kind uint16, follow bool) (found []dns.RR) {
	d.mu.Lock()
	records, relay, server := d.records, d.relay, d.relayAsked
	d.mu.Unlock()
	if follow && relay != "" && dns.IsSubDomain(relay, name) {
		client := &dns.Client{Timeout: 5 * time.Second}
		if reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind), server); err == nil {
			found = reply.Answer
		}
		return found
	}
	for _, record := range records {
		if owner := record.Header(); dns.CanonicalName(owner.Name) == name && (owner.Rrtype == kind || owner.Rrtype == dns.TypeCNAME) {
			found = append(found, record)
			if alias, ok := record.(*dns.CNAME); ok && follow && kind != dns.TypeCNAME {
				found = append(found, d.find(dns.CanonicalName(alias.Target), kind, follow)...)
			}
		}
	}
	return found
}
