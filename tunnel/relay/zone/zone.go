// Package zone is the DNS server of a relay's own domain. It is authoritative for
// that domain alone: it answers from memory, asks no other server, and hands out no
// copy of the zone.
//
// Every name at or below the domain has the relay's addresses, except names with a
// label that begins with "_" (RFC 8552): those exist only while they have a text,
// which is how the relay answers DNS-01 challenges (RFC 8555 section 8.4).
package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// addressTTL is how long resolvers keep the relay's addresses, in seconds. A relay
	// that moves to another address is found again within it.
	addressTTL = 300
	// zoneTTL is the one of NS, SOA and CAA records.
	zoneTTL = 3600
	// textTTL is the one of challenges. An authority that asks twice gets two answers.
	textTTL = 1
	// absenceTTL is how long resolvers remember that a record does not exist (RFC 2308
	// section 5).
	absenceTTL = 30
	// maxTexts is how many texts all names have together. An order needs one for each
	// of its names.
	maxTexts = 64
	// challengeLabel is the label of names that hold challenges.
	challengeLabel = "_acme-challenge"
)

// Zone is the records of a relay's domain. It is made by New.
//
// The name _acme-challenge.DOMAIN is the top of a zone of its own, with the same
// records. So it can be delegated to the relay alone, when DOMAIN itself stays with
// another server.
type Zone struct {
	domain, challenges string // absolute, in lower case
	nameServer         string
	addresses          []netip.Addr
	caa                []*dns.CAA
	serial             uint32

	mu    sync.RWMutex
	texts map[string][]string // by name, absolute and in lower case
	count int                 // of texts
}

// Options describe a zone.
type Options struct {
	// Domain is the relay's domain, in lower case: "t.example.com".
	Domain string
	// Addresses are the relay's public addresses, IPv4, IPv6 or both.
	Addresses []netip.Addr
	// Issuer is the authority that may issue certificates for the domain and all names
	// below it, by its name in CAA records: "letsencrypt.org". It may do so for
	// a DNS-01 challenge only, so that a project that has a name cannot get a certificate
	// for it (RFC 8657). Empty allows every authority and challenge.
	Issuer string
}

// New makes a zone without texts.
func New(o Options) (*Zone, error) {
	if _, ok := dns.IsDomainName(o.Domain); !ok || o.Domain == "" || o.Domain != strings.ToLower(o.Domain) {
		return nil, fmt.Errorf("%q is not a domain in lower case", o.Domain)
	}
	if len(o.Addresses) == 0 {
		return nil, errors.New("a zone needs an address of the relay")
	}
	z := &Zone{domain: dns.Fqdn(o.Domain), addresses: slices.Clone(o.Addresses), serial: uint32(time.Now().Unix()), texts: map[string][]string{}}
	z.challenges = challengeLabel + "." + z.domain
	z.nameServer = "ns." + z.domain
	if o.Issuer != "" {
		for _, tag := range []string{"issue", "issuewild"} {
			z.caa = append(z.caa, &dns.CAA{Tag: tag, Value: o.Issuer + "; validationmethods=dns-01"})
		}
	}
	return z, nil
}

// AddText gives a name below the domain a text, in addition to others that it has.
func (z *Zone) AddText(name, text string) error {
	name = dns.CanonicalName(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case name == z.domain || !dns.IsSubDomain(z.domain, name):
		return fmt.Errorf("%s is not below %s", name, z.domain)
	case len(text) > 255:
		return errors.New("a text has at most 255 bytes")
	case z.count == maxTexts:
		return fmt.Errorf("the zone has %d texts already", maxTexts)
	}
	z.texts[name] = append(z.texts[name], text)
	z.count++
	return nil
}

// RemoveText takes one text with this value from a name, if it has one.
func (z *Zone) RemoveText(name, text string) {
	name = dns.CanonicalName(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	at := slices.Index(z.texts[name], text)
	if at < 0 {
		return
	}
	z.count--
	if z.texts[name] = slices.Delete(z.texts[name], at, at+1); len(z.texts[name]) == 0 {
		delete(z.texts, name)
	}
}

// contains reports whether the zone has an answer about name, which is absolute and
// in lower case.
func (z *Zone) contains(name string) bool { return dns.IsSubDomain(z.domain, name) }

// apex returns the top of the zone that a name of the domain belongs to.
func (z *Zone) apex(name string) string {
	if dns.IsSubDomain(z.challenges, name) {
		return z.challenges
	}
	return z.domain
}

// find returns the records of a name with a type. exists reports whether the name has
// records of any type, or a name below it has (RFC 8020).
func (z *Zone) find(name string, kind uint16) (records []dns.RR, exists bool) {
	apex := z.apex(name)
	exists = name == apex || !z.underscored(name)
	if exists {
		records = z.fixed(name, apex, kind)
	}
	z.mu.RLock()
	defer z.mu.RUnlock()
	for owner := range z.texts {
		exists = exists || dns.IsSubDomain(name, owner)
	}
	if kind == dns.TypeTXT {
		for _, text := range z.texts[name] {
			records = append(records, &dns.TXT{Hdr: head(name, kind, textTTL), Txt: []string{text}})
		}
	}
	return records, exists
}

// underscored reports whether a label of name, below the domain, begins with "_".
func (z *Zone) underscored(name string) bool {
	labels := dns.SplitDomainName(name)
	below := labels[:len(labels)-dns.CountLabel(z.domain)]
	return slices.ContainsFunc(below, func(label string) bool { return strings.HasPrefix(label, "_") })
}

// fixed returns the records that do not change.
func (z *Zone) fixed(name, apex string, kind uint16) (records []dns.RR) {
	switch kind {
	case dns.TypeA, dns.TypeAAAA:
		if apex == z.domain {
			records = z.addressesOf(name, kind)
		}
	case dns.TypeNS:
		if name == apex {
			records = append(records, &dns.NS{Hdr: head(name, kind, zoneTTL), Ns: z.nameServer})
		}
	case dns.TypeSOA:
		if name == apex {
			records = append(records, z.soa(apex, zoneTTL))
		}
	case dns.TypeCAA:
		if name == z.domain {
			for _, caa := range z.caa {
				records = append(records, &dns.CAA{Hdr: head(name, kind, zoneTTL), Tag: caa.Tag, Value: caa.Value})
			}
		}
	}
	return records
}

// addressesOf returns the relay's addresses of one family, as those of name.
func (z *Zone) addressesOf(name string, kind uint16) (records []dns.RR) {
	for _, address := range z.addresses {
		switch {
		case kind == dns.TypeA && address.Is4():
			records = append(records, &dns.A{Hdr: head(name, kind, addressTTL), A: address.AsSlice()})
		case kind == dns.TypeAAAA && address.Is6():
			records = append(records, &dns.AAAA{Hdr: head(name, kind, addressTTL), AAAA: address.AsSlice()})
		}
	}
	return records
}

// soa returns the SOA record of an apex. Next to an answer that a record does not
// exist, ttl is how long that is remembered.
func (z *Zone) soa(apex string, ttl uint32) dns.RR {
	return &dns.SOA{
		Hdr: head(apex, dns.TypeSOA, ttl), Ns: z.nameServer, Mbox: "hostmaster." + z.domain,
		Serial: z.serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: absenceTTL,
	}
}

func head(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}
