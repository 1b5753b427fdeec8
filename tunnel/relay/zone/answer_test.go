package zone

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func newZone(t testing.TB) *Zone {
	t.Helper()
	z, err := New(Options{
		Domain: "t.example.com", Issuer: "letsencrypt.org",
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// ask returns the response to a question, as a client reads it.
func ask(t testing.TB, z *Zone, name string, kind uint16, change ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	for _, c := range change {
		c(q)
	}
	query, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	packed, _ := z.answer(query, true)
	if packed == nil {
		t.Fatalf("%s %s: no response", name, dns.TypeToString[kind])
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(packed); err != nil {
		t.Fatal(err)
	}
	if reply.Id != q.Id || !reply.Response {
		t.Fatalf("not a response to the query: %v", reply)
	}
	return reply
}

// data returns records without names and times.
func data(records []dns.RR) (all []string) {
	for _, r := range records {
		if r.Header().Rrtype == dns.TypeOPT {
			continue
		}
		all = append(all, dns.TypeToString[r.Header().Rrtype]+" "+strings.TrimPrefix(r.String(), r.Header().String()))
	}
	return all
}

// TestAnswer: what the zone says about names inside and outside, for each type.
func TestAnswer(t *testing.T) {
	z := newZone(t)
	for _, text := range []struct{ name, text string }{
		{"_acme-challenge.t.example.com", "one"}, {"_acme-challenge.t.example.com", "two"},
		{"_acme-challenge.zone.t.example.com", "three"},
	} {
		if err := z.AddText(text.name, text.text); err != nil {
			t.Fatal(err)
		}
	}
	const soa, challengeSOA = "t.example.com.", "_acme-challenge.t.example.com."
	for _, test := range []struct {
		name, kind string
		code       int
		want       []string
		soa        string // of the zone that has no such record
	}{
		{"t.example.com.", "A", 0, []string{"A 203.0.113.7"}, ""},
		{"t.example.com.", "AAAA", 0, []string{"AAAA 2001:db8::7"}, ""},
		{"ns.t.example.com.", "A", 0, []string{"A 203.0.113.7"}, ""},
		{"shop-abc.t.example.com.", "A", 0, []string{"A 203.0.113.7"}, ""},
		{"admin.shop.t.example.com.", "AAAA", 0, []string{"AAAA 2001:db8::7"}, ""},
		{"SHOP.T.eXample.com.", "A", 0, []string{"A 203.0.113.7"}, ""},
		{"t.example.com.", "NS", 0, []string{"NS ns.t.example.com."}, ""},
		{"t.example.com.", "CAA", 0, []string{`CAA 0 issue "letsencrypt.org; validationmethods=dns-01"`, `CAA 0 issuewild "letsencrypt.org; validationmethods=dns-01"`}, ""},
		{"shop.t.example.com.", "CAA", 0, nil, soa}, // the authority asks the parent next
		{"t.example.com.", "MX", 0, nil, soa},
		{"shop.t.example.com.", "NS", 0, nil, soa},
		{"shop.t.example.com.", "TXT", 0, nil, soa},
		{"shop.t.example.com.", "TYPE65", 0, nil, soa},
		{"t.example.com.", "ANY", 0, []string{`HINFO "RFC8482" ""`}, ""},
		{"_tcp.t.example.com.", "SRV", dns.RcodeNameError, nil, soa},
		{"_acme-challenge.other.t.example.com.", "TXT", dns.RcodeNameError, nil, soa},
		{"_acme-challenge.zone.t.example.com.", "TXT", 0, []string{`TXT "three"`}, ""},
		{"_acme-challenge.zone.t.example.com.", "A", 0, nil, soa},

		// The zone that can be delegated alone.
		{"_acme-challenge.t.example.com.", "TXT", 0, []string{`TXT "one"`, `TXT "two"`}, ""},
		{"_Acme-Challenge.t.example.com.", "TXT", 0, []string{`TXT "one"`, `TXT "two"`}, ""},
		{"_acme-challenge.t.example.com.", "NS", 0, []string{"NS ns.t.example.com."}, ""},
		{"_acme-challenge.t.example.com.", "A", 0, nil, challengeSOA},
		{"x._acme-challenge.t.example.com.", "TXT", dns.RcodeNameError, nil, challengeSOA},

		{"example.com.", "A", dns.RcodeRefused, nil, ""},
		{"www.example.org.", "A", dns.RcodeRefused, nil, ""},
		{"at.example.com.", "A", dns.RcodeRefused, nil, ""}, // not below it
		{".", "NS", dns.RcodeRefused, nil, ""},
		{"t.example.com.", "AXFR", dns.RcodeRefused, nil, ""},
		{"t.example.com.", "IXFR", dns.RcodeRefused, nil, ""},
		{"t.example.com.", "TSIG", dns.RcodeFormatError, nil, ""},
	} {
		kind, known := dns.StringToType[test.kind]
		if !known {
			fmt.Sscanf(test.kind, "TYPE%d", &kind)
		}
		reply := ask(t, z, test.name, kind)
		got := data(reply.Answer)
		inside := test.code == 0 || test.code == dns.RcodeNameError
		if reply.Rcode != test.code || !slices.Equal(got, test.want) || reply.Authoritative != inside {
			t.Errorf("%s %s: %s, authoritative %v, %q; want %s, %q", test.name, test.kind, dns.RcodeToString[reply.Rcode], reply.Authoritative, got, dns.RcodeToString[test.code], test.want)
		}
		for _, r := range reply.Answer {
			if r.Header().Name != test.name {
				t.Errorf("%s %s: the answer is about %s", test.name, test.kind, r.Header().Name)
			}
		}
		owner := ""
		if len(reply.Ns) > 0 {
			owner = reply.Ns[0].Header().Name
		}
		if owner != test.soa {
			t.Errorf("%s %s: the SOA is that of %q, want %q", test.name, test.kind, owner, test.soa)
		}
		if reply.RecursionAvailable {
			t.Errorf("%s %s: recursion is offered", test.name, test.kind)
		}
	}
	if extra := data(ask(t, z, "t.example.com.", dns.TypeNS).Extra); !slices.Equal(extra, []string{"A 203.0.113.7", "AAAA 2001:db8::7"}) {
		t.Errorf("the name server's addresses are %q", extra)
	}
}

// TestQueries: opcodes, classes and options that the server does not serve.
func TestQueries(t *testing.T) {
	z := newZone(t)
	for name, test := range map[string]struct {
		change func(*dns.Msg)
		code   int
	}{
		"notify":      {func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented},
		"update":      {func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		"class CHAOS": {func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		"class ANY":   {func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, dns.RcodeRefused},
		"no question": {func(m *dns.Msg) { m.Question = nil }, dns.RcodeFormatError},
		"two":         {func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError},
		"an answer":   {func(m *dns.Msg) { m.Answer = []dns.RR{z.soa("t.example.com.", 1)} }, dns.RcodeFormatError},
		"two OPT": {func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.SetEdns0(1232, false)
			m.Extra = append(m.Extra, m.Extra[0])
		}, dns.RcodeFormatError},
		"EDNS 1":       {func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
		"EDNS 0":       {func(m *dns.Msg) { m.SetEdns0(4096, true) }, 0},
		"no recursion": {func(m *dns.Msg) { m.RecursionDesired = false }, 0},
	} {
		reply := ask(t, z, "t.example.com.", dns.TypeA, test.change)
		if reply.Rcode != test.code {
			t.Errorf("%s: %s, want %s", name, dns.RcodeToString[reply.Rcode], dns.RcodeToString[test.code])
		}
	}
	if reply := ask(t, z, "t.example.com.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, true) }); reply.IsEdns0() == nil || reply.IsEdns0().UDPSize() != ednsSize || reply.IsEdns0().Do() {
		t.Errorf("the answer's EDNS is %v", reply.IsEdns0())
	}
}

// TestMalformed: garbage gets FORMERR in the length of a header, and a response gets
// nothing.
func TestMalformed(t *testing.T) {
	z := newZone(t)
	good := new(dns.Msg)
	good.SetQuestion("t.example.com.", dns.TypeA)
	query, err := good.Pack()
	if err != nil {
		t.Fatal(err)
	}
	cut := query[:len(query)-3]
	loop := append(bytes.Clone(query[:headerBytes]), 0xc0, 0x0c, 0, 1, 0, 1) // a name that points to itself
	for name, text := range map[string][]byte{"cut": cut, "loop": loop, "zeros in a label": append(bytes.Clone(query[:headerBytes]), bytes.Repeat([]byte{0xff}, 40)...)} {
		got, _ := z.answer(text, true)
		want := append(append([]byte{}, text[:2]...), 0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", name, got, want)
		}
	}
	response := bytes.Clone(query)
	response[2] |= 0x80
	for name, text := range map[string][]byte{"a response": response, "nothing": nil, "half a header": query[:11]} {
		if got, outcome := z.answer(text, true); got != nil || outcome != outcomeIgnored {
			t.Errorf("%s is answered: % x", name, got)
		}
		if got := truncated(text); got != nil {
			t.Errorf("%s is answered beyond the limit: % x", name, got)
		}
	}
}

// TestTexts: how many there are is bounded, and those of one name do not fit into a
// datagram.
func TestTexts(t *testing.T) {
	z := newZone(t)
	name := "_acme-challenge.t.example.com"
	for i := range maxTexts {
		if err := z.AddText(name, fmt.Sprintf("%043d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if z.AddText(name, "x") == nil {
		t.Error("the number of texts has no limit")
	}
	if reply := ask(t, z, name+".", dns.TypeTXT); !reply.Truncated || len(reply.Answer) == 0 {
		t.Errorf("truncated %v, %d texts", reply.Truncated, len(reply.Answer))
	}
	z.RemoveText(name, "no such text")
	for i := range maxTexts {
		z.RemoveText(name, fmt.Sprintf("%043d", i))
	}
	if reply := ask(t, z, name+".", dns.TypeTXT); len(reply.Answer) > 0 || z.count != 0 || len(z.texts) != 0 {
		t.Errorf("left are %v", reply.Answer)
	}
	for _, name := range []string{"t.example.com", "example.com", "www.example.org", ""} {
		if z.AddText(name, "x") == nil {
			t.Errorf("%q got a text", name)
		}
	}
	if z.AddText(name, strings.Repeat("x", 256)) == nil {
		t.Error("a text of 256 bytes was taken")
	}
}

// TestAmplification: no answer over UDP is more than six times as long as its query,
// as long as one order is in progress.
func TestAmplification(t *testing.T) {
	z := newZone(t)
	if err := z.AddText("_acme-challenge.t.example.com", strings.Repeat("x", 43)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"t.example.com.", "x.t.example.com.", "_x.t.example.com.", "_acme-challenge.t.example.com.", "example.org."} {
		for kind := range uint16(260) {
			q := new(dns.Msg)
			q.SetQuestion(name, kind)
			query, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if response, _ := z.answer(query, true); len(response) > 6*len(query) {
				t.Errorf("%s %s: %d bytes to %d", name, dns.TypeToString[kind], len(response), len(query))
			}
		}
	}
}

func TestNew(t *testing.T) {
	address := []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	for _, o := range []Options{{Domain: "", Addresses: address}, {Domain: "T.example.com", Addresses: address}, {Domain: "t.example.com"}, {Domain: strings.Repeat("x", 64) + ".com", Addresses: address}} {
		if _, err := New(o); err == nil {
			t.Errorf("%q with %v is taken", o.Domain, o.Addresses)
		}
	}
}

// FuzzAnswer: any bytes get no answer, or a well-formed one of bounded length that
// belongs to the query.
func FuzzAnswer(f *testing.F) {
	z := newZone(f)
	if err := z.AddText("_acme-challenge.t.example.com", "text"); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"t.example.com.", "_acme-challenge.t.example.com.", "example.org."} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeANY, dns.TypeAXFR, dns.TypeTXT} {
			q := new(dns.Msg)
			q.SetQuestion(name, kind)
			q.SetEdns0(4096, true)
			query, err := q.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(query)
		}
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		for _, datagram := range []bool{true, false} {
			response, outcome := z.answer(query, datagram)
			if response == nil {
				if outcome != outcomeIgnored {
					t.Fatalf("no response, but %s", outcome)
				}
				continue
			}
			var reply dns.Msg
			if err := reply.Unpack(response); err != nil {
				t.Fatalf("% x cannot be read: %v", response, err)
			}
			if !bytes.Equal(response[:2], query[:2]) || !reply.Response || reply.RecursionAvailable {
				t.Fatalf("% x does not respond to % x", response, query)
			}
			if datagram && len(response) > maxDatagram {
				t.Fatalf("%d bytes in a datagram", len(response))
			}
			if again, _ := z.answer(response, datagram); again != nil {
				t.Fatal("a response is answered")
			}
		}
		if short := truncated(query); len(short) > len(query) {
			t.Fatalf("a truncated answer of %d bytes to %d", len(short), len(query))
		}
	})
}
