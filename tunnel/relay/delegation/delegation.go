// Package delegation knows the DNS records that lead to a relay, and checks them: it
// asks the servers of the parent zone themselves, which have a new record before any
// resolver.
package delegation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// askTimeout bounds one question to one server.
	askTimeout = 5 * time.Second
	// maxServers is how many servers of the parent are asked.
	maxServers = 4
)

// Plan says how a domain leads to a relay.
type Plan struct {
	// Domain is the relay's, in lower case: "t.example.com".
	Domain string
	// Addresses are the relay's public addresses.
	Addresses []netip.Addr
	// Static is for a domain whose addresses stay with another DNS server. Only its
	// _acme-challenge is delegated to the relay then.
	Static bool
}

// Record is a DNS record, with absolute names.
type Record struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// State is what the servers of the parent say about a record.
type State string

// The states.
const (
	Present State = "present"
	Missing State = "missing"
	Wrong   State = "wrong"   // there is another one
	Unknown State = "unknown" // the servers do not answer
)

// Finding is the state of a record.
type Finding struct {
	Record       // its fields are those of the finding
	State  State `json:"state"`
	// Detail says what is there instead, or why nothing is known; empty for a record
	// that is present.
	Detail string `json:"detail,omitempty"`
}

// delegated returns the name that is delegated to the relay.
func (p Plan) delegated() string {
	if p.Static {
		return "_acme-challenge." + p.Domain + "."
	}
	return p.Domain + "."
}

// nameServer returns the name of the relay's DNS server, as the records have it.
func (p Plan) nameServer() string {
	if p.Static {
		return p.Domain + "."
	}
	return "ns." + p.Domain + "."
}

// Records returns the records to make in the parent zone.
func (p Plan) Records() []Record {
	var names []string
	records := []Record{{p.delegated(), "NS", p.nameServer()}}
	if p.Static {
		names = []string{p.Domain + ".", "*." + p.Domain + "."}
	} else {
		names = []string{p.nameServer()}
	}
	for _, name := range names {
		for _, address := range p.Addresses {
			records = append(records, Record{name, typeOf(address), address.String()})
		}
	}
	return records
}

func typeOf(address netip.Addr) string {
	if address.Is4() {
		return "A"
	}
	return "AAAA"
}

// Checker checks records.
type Checker struct {
	// Resolver finds the parent's servers; nil is the system's.
	Resolver *net.Resolver
	// Port is the one of the parent's servers; 0 is 53.
	Port int
}

func (c Checker) resolver() *net.Resolver {
	if c.Resolver == nil {
		return net.DefaultResolver
	}
	return c.Resolver
}

// Parent is the zone that has the records, and its servers.
type Parent struct {
	Zone    string // "example.com"
	Servers []string
}

// Parent finds the zone that the plan's records belong to.
func (c Checker) Parent(ctx context.Context, p Plan) (Parent, error) {
	_, name, _ := strings.Cut(p.delegated(), ".")
	for name != "" {
		servers, err := c.resolver().LookupNS(ctx, name)
		if len(servers) > 0 {
			found := Parent{Zone: strings.TrimSuffix(name, ".")}
			for _, server := range servers[:min(len(servers), maxServers)] {
				found.Servers = append(found.Servers, strings.TrimSuffix(server.Host, "."))
			}
			slices.Sort(found.Servers)
			return found, nil
		}
		var failure *net.DNSError
		if err != nil && (!errors.As(err, &failure) || !failure.IsNotFound) {
			return Parent{}, fmt.Errorf("cannot find the DNS servers of %s: %w", strings.TrimSuffix(name, "."), err)
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return Parent{}, fmt.Errorf("no DNS server is known for a parent of %s", p.Domain)
}

// Check asks every server of the parent. A record is present when all that answer have
// it.
func (c Checker) Check(ctx context.Context, p Plan, parent Parent) []Finding {
	var all [][]Finding
	var failures []string
	for _, server := range parent.Servers {
		findings, err := c.checkAt(ctx, p, server)
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", server, err))
			continue
		}
		all = append(all, findings)
	}
	if len(all) == 0 {
		var findings []Finding
		for _, record := range p.Records() {
			findings = append(findings, Finding{record, Unknown, "no server of " + parent.Zone + " answers: " + strings.Join(failures, "; ")})
		}
		return findings
	}
	worst := all[0]
	for _, findings := range all[1:] {
		for i, f := range findings {
			if worst[i].State == Present && f.State != Present {
				worst[i] = f
			}
		}
	}
	return worst
}

// checkAt asks one server.
func (c Checker) checkAt(ctx context.Context, p Plan, server string) ([]Finding, error) {
	addresses, err := c.resolver().LookupNetIP(ctx, "ip", server)
	if err != nil {
		return nil, err
	}
	at := asked{c, addresses}
	delegation, err := at.ask(ctx, p.delegated(), dns.TypeNS)
	if err != nil {
		return nil, err
	}
	servers := nameServers(delegation, p.delegated())
	ns, alternative := p.delegation(servers)
	findings := []Finding{ns}
	for _, record := range p.Records()[1:] {
		if ns.State == Present && alternative != "" {
			record.Name = alternative
		}
		finding, err := at.address(ctx, record, delegation)
		if err != nil {
			return nil, err
		}
		findings = append(findings, finding)
	}
	return findings, nil
}

// delegation judges the NS records. alternative is the server that they name, when
// it has another name than the plan's: then its addresses decide.
func (p Plan) delegation(servers []string) (f Finding, alternative string) {
	f = Finding{Record: p.Records()[0], State: Present}
	switch {
	case len(servers) == 0:
		f.State = Missing
	case slices.Contains(servers, p.nameServer()):
		if len(servers) > 1 {
			f.State, f.Detail = Wrong, "there are others too, which don't lead to the relay: "+strings.Join(servers, ", ")
		}
	case len(servers) == 1 && !p.Static:
		f.Value, alternative = servers[0], servers[0]
	default:
		f.State, f.Detail = Wrong, "it is "+strings.Join(servers, ", ")
	}
	return f, alternative
}

// asked is a server of the parent.
type asked struct {
	Checker
	addresses []netip.Addr
}

// address checks an A or AAAA record, which may be in the delegation that the server
// answered with (glue), or be an answer of its own.
func (a asked) address(ctx context.Context, record Record, delegation *dns.Msg) (Finding, error) {
	kind := dns.StringToType[record.Type]
	name := record.Name
	if strings.HasPrefix(name, "*.") {
		name = "check-" + nonce() + name[1:]
	}
	values := addressesIn(delegation.Extra, name, kind)
	if len(values) == 0 {
		reply, err := a.ask(ctx, name, kind)
		if err != nil {
			return Finding{}, err
		}
		values = addressesIn(append(slices.Clone(reply.Answer), reply.Extra...), name, kind)
	}
	if len(values) == 0 && !dns.IsSubDomain(delegation.Question[0].Name, name) { // a name of another zone
		found, _ := a.resolver().LookupNetIP(ctx, "ip", name) // without an address the record is missing
		for _, address := range found {
			if address = address.Unmap(); typeOf(address) == record.Type {
				values = append(values, address.String())
			}
		}
	}
	f := Finding{Record: record, State: Present}
	switch {
	case len(values) == 0:
		f.State = Missing
	case !slices.Contains(values, record.Value):
		f.State, f.Detail = Wrong, "it is "+strings.Join(values, ", ")
	}
	return f, nil
}

// ask asks the server, over TCP if the answer does not fit into a datagram.
func (a asked) ask(ctx context.Context, name string, kind uint16) (reply *dns.Msg, err error) {
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	q.RecursionDesired = false
	q.SetEdns0(1232, false)
	port := 53
	if a.Port != 0 {
		port = a.Port
	}
	for _, address := range a.addresses {
		at := net.JoinHostPort(address.Unmap().String(), strconv.Itoa(port))
		for _, network := range []string{"udp", "tcp"} {
			client := &dns.Client{Net: network, Timeout: askTimeout}
			if reply, _, err = client.ExchangeContext(ctx, q, at); err == nil && !reply.Truncated {
				break
			}
		}
		switch {
		case err != nil:
			continue // with another address
		case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
			err = fmt.Errorf("it answers %s", dns.RcodeToString[reply.Rcode])
			continue
		}
		return reply, nil
	}
	return nil, err
}

// nameServers returns the servers of a name in a referral or an answer, sorted.
func nameServers(reply *dns.Msg, name string) (servers []string) {
	for _, record := range append(slices.Clone(reply.Answer), reply.Ns...) {
		if ns, ok := record.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, name) {
			servers = append(servers, dns.CanonicalName(ns.Ns))
		}
	}
	slices.Sort(servers)
	return slices.Compact(servers)
}

// addressesIn returns the addresses of a name in records, and those that its aliases
// lead to.
func addressesIn(records []dns.RR, name string, kind uint16) (values []string) {
	for _, record := range records {
		switch r := record.(type) {
		case *dns.CNAME:
			if strings.EqualFold(r.Hdr.Name, name) {
				name = r.Target
			}
		case *dns.A:
			if kind == dns.TypeA && strings.EqualFold(r.Hdr.Name, name) {
				values = append(values, r.A.String())
			}
		case *dns.AAAA:
			if kind == dns.TypeAAAA && strings.EqualFold(r.Hdr.Name, name) {
				values = append(values, r.AAAA.String())
			}
		}
	}
	slices.Sort(values)
	return values
}

// Reach asks the resolver for a name that nobody has asked for before, so that its
// answer comes from the relay's DNS server, which must run. An error says why it did
// not come.
func (c Checker) Reach(ctx context.Context, p Plan) error {
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	if p.Static { // the relay has no such name, and says so
		_, err := c.resolver().LookupTXT(ctx, "check-"+nonce()+"."+p.delegated())
		var failure *net.DNSError
		if errors.As(err, &failure) && failure.IsNotFound {
			return nil
		}
		return err
	}
	found, err := c.resolver().LookupNetIP(ctx, "ip", "check-"+nonce()+"."+p.delegated())
	if err != nil {
		return err
	}
	for _, address := range found {
		if slices.Contains(p.Addresses, address.Unmap()) {
			return nil
		}
	}
	return fmt.Errorf("the names of %s have the address %s", p.Domain, found[0].Unmap())
}

// nonce returns letters that nobody has asked for before.
func nonce() string { return strings.ToLower(rand.Text()[:10]) }
