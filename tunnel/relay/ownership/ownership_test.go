package ownership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	own     = "0123456789abcdefghjkmnpqrs.s.t.example.net"
	another = "zzzzzzzzzzzzzzzzzzzzzzzzzz.s.t.example.net"
)

// world is a DNS: the records of each server, by its name. A server that has an SOA record
// of a zone is authoritative for it, and other NS records that it has are referrals.
type world struct {
	mu      sync.Mutex
	servers map[string][]dns.RR
	silent  bool
	asked   int
}

// newWorld reads lines "SERVER RECORD".
func newWorld(t *testing.T, lines ...string) *world {
	t.Helper()
	w := &world{servers: map[string][]dns.RR{}}
	for _, line := range lines {
		server, text, _ := strings.Cut(line, " ")
		record, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		w.servers[server] = append(w.servers[server], record)
	}
	return w
}

// top implements lookup.
func (w *world) top(_ context.Context, domain string) ([]string, error) {
	if domain == "info." {
		return nil, &net.DNSError{Err: "dial udp 192.0.2.53:53: network is unreachable", Name: domain, Server: "192.0.2.53:53"}
	}
	if domain != "com." {
		return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
	}
	return []string{"tld."}, nil
}

// ask implements lookup.
func (w *world) ask(_ context.Context, server, name string, kind uint16) (*dns.Msg, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	records := w.servers[server]
	if w.silent || records == nil {
		return nil, errors.New("no answer")
	}
	q := new(dns.Msg).SetQuestion(name, kind)
	reply, at := new(dns.Msg).SetReply(q), name
	for _, record := range records {
		owner := record.Header().Name
		switch r := record.(type) {
		case *dns.NS:
			reply.Ns = append(reply.Ns, r)
			continue
		case *dns.SOA:
			reply.Authoritative = reply.Authoritative || dns.IsSubDomain(owner, name)
			continue
		}
		if owner != at || record.Header().Rrtype != kind && record.Header().Rrtype != dns.TypeCNAME {
			continue
		}
		reply.Answer = append(reply.Answer, record)
		if alias, ok := record.(*dns.CNAME); ok {
			at = alias.Target // servers add what it leads to
		}
	}
	if len(reply.Ns) > 0 {
		reply.Authoritative = false
	}
	return reply, nil
}

// prover asks a world.
func (w *world) prover() *Prover {
	p := New(Options{Relay: "t.example.net"})
	p.lookup = w
	return p
}

const (
	delegated = "tld. example.com. 60 NS a."
	soa       = " example.com. 60 SOA a. b. 1 1 1 1 1"
)

func code(err error) tunnel.Code {
	if refused, ok := errors.AsType[*tunnel.Refusal](err); ok {
		return refused.Code
	}
	return 0
}

// TestProve: what is a proof, and what is not.
func TestProve(t *testing.T) {
	for name, test := range map[string]struct {
		domain string
		lines  []string
		want   string // the end of the error; empty for a proof
	}{
		"an alias":                 {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME " + own + "."}},
		"an alias in capitals":     {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME " + strings.ToUpper(own) + "."}},
		"a text":                   {lines: []string{delegated, "a." + soa, "a. _devproxy.demo.example.com. 60 TXT " + own}},
		"a text with a dot":        {lines: []string{delegated, "a." + soa, "a. _devproxy.demo.example.com. 60 TXT " + own + "."}},
		"a text next to others":    {lines: []string{delegated, "a." + soa, "a. _devproxy.demo.example.com. 60 TXT x", "a. _devproxy.demo.example.com. 60 TXT " + own}},
		"at the top of a zone":     {domain: "example.com", lines: []string{delegated, "a." + soa, "a. _devproxy.example.com. 60 TXT " + own}},
		"a text next to an alias":  {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME x.example.org.", "a. _devproxy.demo.example.com. 60 TXT " + own}},
		"in a zone of its own":     {lines: []string{delegated, "a. demo.example.com. 60 NS b.", "b. demo.example.com. 60 SOA a. b. 1 1 1 1 1", "b. _devproxy.demo.example.com. 60 TXT " + own}},
		"one of two is silent":     {lines: []string{delegated, "tld. example.com. 60 NS gone.", "a." + soa, "a. demo.example.com. 60 CNAME " + own + "."}},
		"nothing":                  {lines: []string{delegated, "a." + soa}, want: "demo.example.com has no record that names this key: make the record demo.example.com CNAME " + own},
		"another key":              {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME " + another + "."}, want: "demo.example.com leads to " + another + ": make the record demo.example.com CNAME " + own},
		"another key's text":       {lines: []string{delegated, "a." + soa, "a. _devproxy.demo.example.com. 60 TXT " + another}, want: "CNAME " + own},
		"the relay, but no key":    {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME t.example.net."}, want: "CNAME " + own},
		"a name in another name":   {lines: []string{delegated, "a." + soa, "a. _devproxy.demo.example.com. 60 TXT x" + own}, want: "CNAME " + own},
		"a name below its own":     {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME x." + own + "."}, want: "CNAME " + own},
		"a second hop":             {lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME b.example.com.", "a. b.example.com. 60 CNAME " + own + "."}, want: "demo.example.com leads to b.example.com: make the record demo.example.com CNAME " + own},
		"an alias of the text":     {lines: []string{delegated, "a." + soa, "a. _devproxy.demo.example.com. 60 CNAME evil.example.org.", "a. evil.example.org. 60 TXT " + own}, want: "CNAME " + own},
		"one of two has none":      {lines: []string{delegated, "tld. example.com. 60 NS b.", "a." + soa, "b." + soa, "a. demo.example.com. 60 CNAME " + own + "."}, want: "CNAME " + own},
		"a server of another zone": {lines: []string{delegated, "a. example.org. 60 SOA a. b. 1 1 1 1 1", "a. demo.example.com. 60 CNAME " + own + "."}, want: "no DNS server of its zone answers"},
		"a referral up":            {lines: []string{delegated, "a. com. 60 NS b.", "b. com. 60 SOA a. b. 1 1 1 1 1", "b. demo.example.com. 60 CNAME " + own + "."}, want: "no DNS server of its zone answers"},
		"a referral to itself":     {lines: []string{delegated, "a. example.com. 60 NS b.", "b." + soa, "b. demo.example.com. 60 CNAME " + own + "."}, want: "no DNS server of its zone answers"},
		"a referral aside":         {lines: []string{delegated, "a. other.example.com. 60 NS b.", "b." + soa, "b. demo.example.com. 60 CNAME " + own + "."}, want: "no DNS server of its zone answers"},
		"nobody answers":           {lines: []string{delegated}, want: "no DNS server of its zone answers"},
		"an unknown top":           {domain: "demo.example.org", want: `unknown top-level domain "org"`},
		"no resolver":              {domain: "demo.example.info", want: `cannot check who owns demo.example.info: the relay's DNS resolver does not find the servers of "info"`},
		"its parent's alias":       {domain: "a.demo.example.com", lines: []string{delegated, "a." + soa, "a. demo.example.com. 60 CNAME " + own + "."}, want: "a.demo.example.com CNAME " + own},
		"the relay's name":         {domain: "shop.t.example.net", want: `the domain "shop.t.example.net" is the relay's own`},
	} {
		t.Run(name, func(t *testing.T) {
			domain := test.domain
			if domain == "" {
				domain = "demo.example.com"
			}
			p := newWorld(t, test.lines...).prover()
			err := p.Prove(t.Context(), domain, own)
			switch {
			case test.want == "" && (err != nil || !p.IsProven(domain, own)):
				t.Errorf("not proven: %v", err)
			case test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), test.want) || p.IsProven(domain, own)):
				t.Errorf("got %v, want %q", err, test.want)
			case strings.Contains(test.want, "CNAME") && code(err) != tunnel.CodeUnproven, strings.Contains(test.want, "DNS server") && code(err) != tunnel.CodeBusy:
				t.Errorf("%v has the code %d", err, code(err))
			}
		})
	}
}

// TestTime: a proof counts for an hour; a day when nobody answers; and no longer when the
// record is gone or names another key.
func TestTime(t *testing.T) {
	const record = "a. demo.example.com. 60 CNAME "
	w := newWorld(t, delegated, "a."+soa, record+own+".")
	p := w.prover()
	now := time.Now()
	p.now = func() time.Time { return now }
	prove := func(own string) tunnel.Code { return code(p.Prove(t.Context(), "demo.example.com", own)) }
	if c := prove(own); c != 0 {
		t.Fatalf("code %d", c)
	}
	asked := w.asked
	if c := prove(own); c != 0 || w.asked != asked {
		t.Errorf("at once: code %d, %d more questions", c, w.asked-asked)
	}
	w.silent = true
	now = now.Add(silence - time.Minute)
	if c := prove(own); c != 0 || w.asked == asked {
		t.Errorf("a silent day: code %d, %d more questions", c, w.asked-asked)
	}
	now = now.Add(time.Minute)
	if c := prove(own); c != tunnel.CodeBusy {
		t.Errorf("later: code %d", c)
	}
	w.silent = false
	if c := prove(own); c != 0 {
		t.Errorf("again: code %d", c)
	}
	w.servers = newWorld(t, delegated, "a."+soa, record+another+".").servers
	if c := prove(another); c != 0 {
		t.Errorf("the new key: code %d", c)
	}
	if c := prove(own); c != tunnel.CodeUnproven {
		t.Errorf("the old key: code %d", c)
	}
	w.servers = newWorld(t, delegated, "a."+soa).servers
	if c := code(p.ProveAgain(t.Context(), "demo.example.com", another)); c != tunnel.CodeUnproven {
		t.Errorf("without a record: code %d", c)
	}
	w.silent = true
	if c := prove(another); c != tunnel.CodeBusy {
		t.Errorf("without a record, silent: code %d", c)
	}
}

// TestEndless: a stranger's servers that refer to others for ever are left.
func TestEndless(t *testing.T) {
	var lines []string
	domain, server := "com", "tld."
	for i := range 20 {
		domain = fmt.Sprintf("z%d.%s", i, domain)
		next := fmt.Sprintf("s%d.", i)
		lines = append(lines, server+" "+domain+". 60 NS "+next)
		server = next
	}
	w := newWorld(t, lines...)
	err := w.prover().Prove(t.Context(), domain, own)
	if code(err) != tunnel.CodeBusy || !strings.HasSuffix(err.Error(), "refer to others too often") || w.asked > maxDepth {
		t.Errorf("%d questions: %v", w.asked, err)
	}
}

// TestMany: the memory has a bound.
func TestMany(t *testing.T) {
	p := New(Options{})
	for i := range maxProofs + 5 {
		p.remember(fmt.Sprintf("x%d.example.com", i), own)
	}
	if len(p.proven) != maxProofs || !p.IsProven(fmt.Sprintf("x%d.example.com", maxProofs+4), own) {
		t.Errorf("%d proofs", len(p.proven))
	}
}

// TestBusy: a proof waits for a place, until its context ends.
func TestBusy(t *testing.T) {
	p := newWorld(t).prover()
	for range maxAtOnce {
		p.places <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Prove(ctx, "demo.example.com", own); code(err) != tunnel.CodeBusy || !strings.Contains(err.Error(), "too many domains") {
		t.Errorf("got %v", err)
	}
}

// TestCheckName: names that no user can own here.
func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"demo.example.com": "", "example.com": "", "www.example.co.uk": "", "shop.github.io": "", "xn--bcher-kva.example.com": "", "example.net": "is above the relay's own domain",
		"t.example.net": "is the relay's own", "a.b.t.example.net": "is the relay's own", "xt.example.net": "",
		"*.example.com": "is a wildcard", "Demo.example.com": "is not in lower case", "bücher.example.com": "is not written as in the DNS",
		"com": "is not a domain", "": "is not a domain", "demo": "is not a domain", "demo.example.com.": "is not a domain", ".example.com": "is not a domain",
		"a..example.com": "is not a domain", "a_b.example.com": "is not a domain", "-a.example.com": "is not a domain", "192.0.2.1": "is not a domain",
		"demo.example.0x1": "is not a domain", "xn--a.example.com": "is not a domain", "xn--.example.com": "is not a domain", "a b.example.com": "is not a domain",
		"demo.example.com:443": "is not a domain", "demo.example.com/": "is not a domain", "ａ.example.com": "is not written as in the DNS",
		strings.Repeat("a", 64) + ".example.com": "is not a domain", strings.Repeat("a.", 125) + "example.com": "is not a domain",
		"co.uk": "is a public suffix", "github.io": "is a public suffix",
		"shop.localhost": "exists in no DNS", "demo.test": "exists in no DNS", "7.2.0.192.in-addr.arpa": "exists in no DNS", "demo.internal": "exists in no DNS",
	} {
		err := CheckName(name, "t.example.net")
		refused, ok := errors.AsType[*tunnel.NameError](err)
		if (want == "") != (err == nil) || want != "" && (!ok || refused.Fix == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// TestPublic: only servers on the internet are asked.
func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1": true, "127.0.0.1": false, "10.0.0.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false,
		"192.168.1.1": false, "255.255.255.255": false, "224.0.0.1": false, "::1": false, "fe80::1": false, "fd00::1": false, "fc00::1": false,
		"64:ff9b::a00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false, "2001:0:1::": false, "240.0.0.1": false, "192.0.2.1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// handler answers as a world's server a, and as the resolver.
type handler struct{ world *world }

// ServeDNS implements dns.Handler.
func (h handler) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	question := q.Question[0]
	reply := new(dns.Msg)
	switch {
	case !q.RecursionDesired:
		reply, _ = h.world.ask(context.Background(), "a.", question.Name, question.Qtype)
		if _, datagram := w.RemoteAddr().(*net.UDPAddr); datagram {
			reply.Truncated, reply.Answer = true, nil
		}
	case question.Qtype == dns.TypeNS && question.Name == "com.":
		record, _ := dns.NewRR("com. 60 NS ns.example.net.")
		reply.Answer = append(reply.Answer, record)
	case question.Qtype == dns.TypeA:
		record, _ := dns.NewRR("ns.example.net. 60 A 127.0.0.1")
		reply.Answer = append(reply.Answer, record)
	}
	answer, authoritative, truncated := reply.Answer, reply.Authoritative, reply.Truncated
	reply.SetReply(q)
	reply.Answer, reply.Authoritative, reply.Truncated, reply.RecursionAvailable = answer, authoritative, truncated, q.RecursionDesired
	_ = w.WriteMsg(reply) // the client fails
}

// TestServers: real questions, over UDP and then TCP. A server with a private address is
// not asked.
func TestServers(t *testing.T) {
	w := newWorld(t, "a. com. 60 SOA a. b. 1 1 1 1 1", "a. demo.example.com. 60 CNAME "+own+".")
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", streams.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler{w}}, {Listener: streams, Handler: handler{w}}} {
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
	o := Options{Relay: "t.example.net", Private: true, Port: streams.Addr().(*net.TCPAddr).Port}
	o.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", packets.LocalAddr().String())
	}}
	if err := New(o).Prove(t.Context(), "demo.example.com", own); err != nil {
		t.Error(err)
	}
	if err := New(o).Prove(t.Context(), "demo.example.com", another); code(err) != tunnel.CodeUnproven {
		t.Errorf("another key: %v", err)
	}
	asked := w.asked
	o.Private = false
	if err := New(o).Prove(t.Context(), "demo.example.com", own); code(err) != tunnel.CodeBusy || w.asked != asked {
		t.Errorf("a private server: %v, %d questions", err, w.asked-asked)
	}
}
