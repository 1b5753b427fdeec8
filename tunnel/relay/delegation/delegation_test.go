package delegation

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// servers are all DNS servers of a test in one: a resolver, and the parent's servers.
type servers struct {
	mu      sync.Mutex
	records []dns.RR // that the resolver and the parent have
	glue    []dns.RR
	code    int // of every answer of the parent
	address string
}

// start answers on loopback until the test ends.
func start(t *testing.T, records ...string) (*servers, Checker) {
	t.Helper()
	s := &servers{}
	s.set(t, append([]string{"example.com. 60 NS ns1.example.net.", "ns1.example.net. 60 A 127.0.0.1"}, records...)...)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: packets, Handler: s, NotifyStartedFunc: func() { close(started) }}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s.address = packets.LocalAddr().String()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.address)
	}}
	return s, Checker{Resolver: resolver, Port: packets.LocalAddr().(*net.UDPAddr).Port}
}

func (s *servers) set(t *testing.T, records ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range records {
		glue := strings.HasPrefix(text, "glue ")
		record, err := dns.NewRR(strings.TrimPrefix(text, "glue "))
		if err != nil {
			t.Fatal(err)
		}
		if glue {
			s.glue = append(s.glue, record)
		} else {
			s.records = append(s.records, record)
		}
	}
}

// ServeDNS implements dns.Handler: a delegation is a referral for the parent.
func (s *servers) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := new(dns.Msg).SetReply(q)
	reply.RecursionAvailable = q.RecursionDesired
	question := q.Question[0]
	exists := false
	for _, record := range s.records {
		head := record.Header()
		wild := strings.HasPrefix(head.Name, "*.") && dns.IsSubDomain(head.Name[2:], question.Name) && question.Name != head.Name[2:]
		if !strings.EqualFold(head.Name, question.Name) && !wild {
			continue
		}
		if exists = true; head.Rrtype == question.Qtype {
			record = dns.Copy(record)
			record.Header().Name = question.Name
			reply.Answer = append(reply.Answer, record)
		}
	}
	if !q.RecursionDesired {
		reply.Rcode = s.code
		if question.Qtype == dns.TypeNS {
			reply.Ns, reply.Answer = reply.Answer, nil
			reply.Extra = s.glue
		}
	}
	if !exists && s.code == 0 {
		reply.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(reply) // the client asks again
}

func plan(static bool) Plan {
	return Plan{Domain: "t.example.com", Static: static, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7")}}
}

// TestRecords: what to write into the parent zone.
func TestRecords(t *testing.T) {
	p := plan(false)
	p.Addresses = append(p.Addresses, netip.MustParseAddr("2001:db8::7"))
	want := "[{t.example.com. NS ns.t.example.com.} {ns.t.example.com. A 203.0.113.7} {ns.t.example.com. AAAA 2001:db8::7}]"
	if got := fmt.Sprint(p.Records()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	want = "[{_acme-challenge.t.example.com. NS t.example.com.} {t.example.com. A 203.0.113.7} {*.t.example.com. A 203.0.113.7}]"
	if got := fmt.Sprint(plan(true).Records()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestCheck: what the parent's server has, and what the checker says about it.
func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		static  bool
		records []string
		code    int
		want    []string // state and detail of each record
	}{
		"nothing":             {want: []string{"missing", "missing"}},
		"all":                 {records: []string{"t.example.com. 60 NS ns.t.example.com.", "glue ns.t.example.com. 60 A 203.0.113.7"}, want: []string{"present", "present"}},
		"capitals":            {records: []string{"t.example.com. 60 NS NS.T.example.com.", "glue NS.T.example.com. 60 A 203.0.113.7"}, want: []string{"present", "present"}},
		"no glue":             {records: []string{"t.example.com. 60 NS ns.t.example.com."}, want: []string{"present", "missing"}},
		"another address":     {records: []string{"t.example.com. 60 NS ns.t.example.com.", "glue ns.t.example.com. 60 A 198.51.100.1"}, want: []string{"present", "wrong it is 198.51.100.1"}},
		"another server":      {records: []string{"t.example.com. 60 NS relay.example.com.", "relay.example.com. 60 A 203.0.113.7"}, want: []string{"present", "present"}},
		"a stranger's server": {records: []string{"t.example.com. 60 NS dns.example.org.", "dns.example.org. 60 A 198.51.100.1"}, want: []string{"present", "wrong it is 198.51.100.1"}},
		"two servers": {
			records: []string{"t.example.com. 60 NS ns.t.example.com.", "t.example.com. 60 NS old.example.com.", "glue ns.t.example.com. 60 A 203.0.113.7"},
			want:    []string{"wrong there are others too, which don't lead to the relay: ns.t.example.com., old.example.com.", "present"},
		},
		"the parent fails": {code: dns.RcodeServerFailure, want: []string{
			"unknown no server of example.com answers: ns1.example.net: it answers SERVFAIL", "unknown no server of example.com answers: ns1.example.net: it answers SERVFAIL",
		}},
		"static, nothing": {static: true, want: []string{"missing", "missing", "missing"}},
		"static, all": {
			static:  true,
			records: []string{"_acme-challenge.t.example.com. 60 NS t.example.com.", "t.example.com. 60 A 203.0.113.7", "*.t.example.com. 60 A 203.0.113.7"},
			want:    []string{"present", "present", "present"},
		},
		"static, no wildcard": {
			static:  true,
			records: []string{"_acme-challenge.t.example.com. 60 NS t.example.com.", "t.example.com. 60 A 203.0.113.7"},
			want:    []string{"present", "present", "missing"},
		},
		"static, another server": {
			static:  true,
			records: []string{"_acme-challenge.t.example.com. 60 NS dns.example.org.", "t.example.com. 60 A 203.0.113.7", "*.t.example.com. 60 A 203.0.113.7"},
			want:    []string{"wrong it is dns.example.org.", "present", "present"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, checker := start(t, test.records...)
			parent, err := checker.Parent(t.Context(), plan(test.static))
			if err != nil || parent.Zone != "example.com" || !slices.Equal(parent.Servers, []string{"ns1.example.net"}) {
				t.Fatalf("the parent is %v, %v", parent, err)
			}
			s.mu.Lock()
			s.code = test.code
			s.mu.Unlock()
			var got []string
			for _, f := range checker.Check(t.Context(), plan(test.static), parent) {
				got = append(got, strings.TrimSpace(string(f.State)+" "+f.Detail))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q\nwant %q", got, test.want)
			}
		})
	}
}

// TestReach: the resolver's answer says whether it has come from the relay.
func TestReach(t *testing.T) {
	_, checker := start(t)
	if err := checker.Reach(t.Context(), plan(false)); err == nil {
		t.Error("a name that does not exist is reached")
	}
	if err := checker.Reach(t.Context(), plan(true)); err != nil {
		t.Errorf("static: %v", err)
	}
	_, checker = start(t, "*.t.example.com. 60 A 203.0.113.7")
	if err := checker.Reach(t.Context(), plan(false)); err != nil {
		t.Error(err)
	}
	_, checker = start(t, "*.t.example.com. 60 A 198.51.100.1")
	if err := checker.Reach(t.Context(), plan(false)); err == nil || !strings.Contains(err.Error(), "the names of t.example.com have the address 198.51.100.1") {
		t.Errorf("another server: %v", err)
	}
}
