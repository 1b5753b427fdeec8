package ownership

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// askTimeout bounds one question to one address.
	askTimeout = 2 * time.Second
	// maxServers is how many servers of a zone are asked, and maxAddresses at how many
	// addresses one of them.
	maxServers   = 3
	maxAddresses = 2
	// maxDepth is how many zones may be above a record: a stranger's servers could refer
	// to others for ever.
	maxDepth = 8
	// maxQuestions bounds the questions for one proof.
	maxQuestions = 40
)

// lookup is what a walk needs of the DNS.
type lookup interface {
	// top returns the servers of a top-level domain.
	top(ctx context.Context, domain string) (servers []string, err error)
	// ask asks one server, not recursively.
	ask(ctx context.Context, server, name string, kind uint16) (*dns.Msg, error)
}

// walk finds records from the top of the DNS down.
type walk struct {
	lookup
	questions int
}

// find returns the values of a name's records of a kind, which is CNAME or TXT, one list
// for each server that answers.
func (w *walk) find(ctx context.Context, name string, kind uint16) ([][]string, error) {
	labels := dns.SplitDomainName(name)
	zone := dns.Fqdn(labels[len(labels)-1])
	servers, err := w.top(ctx, zone)
	if err != nil {
		return nil, topError(strings.TrimSuffix(zone, "."), err)
	}
	for range maxDepth {
		servers = some(servers)
		if w.questions += len(servers); w.questions > maxQuestions {
			break
		}
		replies := w.askAll(ctx, servers, name, kind)
		if cut, next := referral(replies, zone, name); cut != "" {
			zone, servers = cut, next
			continue
		}
		var answers [][]string
		for _, reply := range replies {
			if reply.Authoritative {
				answers = append(answers, valuesOf(reply, name, kind))
			}
		}
		if len(answers) == 0 {
			return nil, errSilent
		}
		return answers, nil
	}
	return nil, errors.New("its DNS servers refer to others too often")
}

// topError says why the servers of a top-level domain were not found, without addresses of
// the relay's network: its users read it.
func topError(top string, err error) error {
	if failed, ok := errors.AsType[*net.DNSError](err); ok && failed.IsNotFound {
		return fmt.Errorf("unknown top-level domain %q", top)
	}
	return fmt.Errorf("the relay's DNS resolver does not find the servers of %q", top)
}

// some returns at most maxServers of servers, in any order.
func some(servers []string) []string {
	servers = slices.Clone(servers)
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	return servers[:min(len(servers), maxServers)]
}

// askAll asks all servers at once, and returns the replies that are usable.
func (w *walk) askAll(ctx context.Context, servers []string, name string, kind uint16) (replies []*dns.Msg) {
	all := make([]*dns.Msg, len(servers))
	var group sync.WaitGroup
	for i, server := range servers {
		group.Go(func() {
			reply, err := w.ask(ctx, server, name, kind)
			if err == nil && (reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError) {
				all[i] = reply
			}
		})
	}
	group.Wait()
	return slices.DeleteFunc(all, func(reply *dns.Msg) bool { return reply == nil })
}

// referral returns the zone below zone that contains name, and its servers, if a reply
// refers there. Then the authoritative answers of zone's other servers do not count: name is
// not in zone.
func referral(replies []*dns.Msg, zone, name string) (cut string, servers []string) {
	for _, reply := range replies {
		if reply.Authoritative || len(reply.Answer) > 0 {
			continue
		}
		for _, record := range reply.Ns {
			ns, ok := record.(*dns.NS)
			if !ok {
				continue
			}
			owner := dns.CanonicalName(ns.Hdr.Name)
			if owner == zone || !dns.IsSubDomain(zone, owner) || !dns.IsSubDomain(owner, name) || cut != "" && cut != owner {
				continue
			}
			if server := dns.CanonicalName(ns.Ns); !slices.Contains(servers, server) {
				cut, servers = owner, append(servers, server)
			}
		}
		if cut != "" {
			return cut, servers
		}
	}
	return "", nil
}

// valuesOf returns the values of the records of name itself, not of its aliases.
func valuesOf(reply *dns.Msg, name string, kind uint16) (values []string) {
	for _, record := range reply.Answer {
		if dns.CanonicalName(record.Header().Name) != name {
			continue
		}
		switch r := record.(type) {
		case *dns.CNAME:
			if kind == dns.TypeCNAME {
				values = append(values, dns.CanonicalName(r.Target))
			}
		case *dns.TXT:
			if kind == dns.TypeTXT {
				values = append(values, strings.TrimSuffix(strings.ToLower(strings.Join(r.Txt, "")), "."))
			}
		}
	}
	return values
}

// internet is the lookup of a relay.
type internet struct{ Options }

func newInternet(o Options) internet { return internet{o} }

func (i internet) top(ctx context.Context, domain string) (servers []string, err error) {
	found, err := i.Resolver.LookupNS(ctx, domain)
	for _, ns := range found {
		servers = append(servers, dns.CanonicalName(ns.Host))
	}
	if len(servers) > 0 {
		return servers, nil
	}
	return nil, err
}

// ask asks over TCP if the answer does not fit into a datagram.
func (i internet) ask(ctx context.Context, server, name string, kind uint16) (reply *dns.Msg, err error) {
	addresses, err := i.Resolver.LookupNetIP(ctx, "ip", server)
	if err != nil {
		return nil, err
	}
	addresses = slices.DeleteFunc(addresses, func(address netip.Addr) bool { return !i.Private && !isPublic(address.Unmap()) })
	err = errSilent
	for _, address := range addresses[:min(len(addresses), maxAddresses)] {
		if reply, err = i.askAt(ctx, address.Unmap(), name, kind); err == nil {
			return reply, nil
		}
	}
	return nil, err
}

func (i internet) askAt(ctx context.Context, address netip.Addr, name string, kind uint16) (reply *dns.Msg, err error) {
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	q.RecursionDesired = false
	q.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: askTimeout}
		reply, _, err = client.ExchangeContext(ctx, q, net.JoinHostPort(address.String(), strconv.Itoa(i.Port)))
		switch {
		case err != nil:
			return nil, err
		case len(reply.Question) != 1 || dns.CanonicalName(reply.Question[0].Name) != name || reply.Question[0].Qtype != kind:
			return nil, errSilent // the answer to another question
		case !reply.Truncated:
			return reply, nil
		}
	}
	return nil, errSilent
}

// notPublic are networks that are not on the internet, or that lead to others: RFC 6890
// and its successors. IPv6 is only in use below 2000::/3.
var notPublic = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

var inUse6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// isPublic reports whether an address is on the internet.
func isPublic(address netip.Addr) bool {
	return address.IsGlobalUnicast() && !address.IsPrivate() && (address.Is4() || inUse6.Contains(address)) &&
		!slices.ContainsFunc(notPublic, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}
