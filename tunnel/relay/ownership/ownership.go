// Package ownership proves that a domain of a user's own belongs to an agent's key, by a
// record that only the owner of the domain can make: one that names the key's own name at
// the relay (tunnel.OwnName), which no other key has.
//
// For demo.example.com, either is a proof:
//
//	demo.example.com.            CNAME  KEY.s.t.example.net.
//	_devproxy.demo.example.com.  TXT    "KEY.s.t.example.net"
//
// The second is for names that cannot have a CNAME, such as the top of a zone, and those
// behind a proxy such as Cloudflare, whose servers answer with its own addresses.
//
// The answer comes from the servers of the domain's zone, which are found from the top of
// the DNS down: no resolver's cache delays it, and no alias leads the search to another
// owner's servers. DNSSEC is not checked.
package ownership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/devproxy/devproxy/tunnel"
)

// The limits. A stranger chooses the domain, and so the servers that are asked.
const (
	// lasts is how long a proof counts without asking again.
	lasts = time.Hour
	// silence is how long the last proof counts while no server answers.
	silence = 24 * time.Hour
	// proveTimeout bounds one proof, which a claim waits for. A claim has ten seconds.
	proveTimeout = 8 * time.Second
	// maxProofs is how many proofs are remembered, in at most 5 MB.
	maxProofs = 10_000
	// maxAtOnce is how many proofs are looked for at once.
	maxAtOnce = 32
	// textLabel is the label of names whose text is a proof.
	textLabel = "_devproxy"
)

// Prover finds proofs, and remembers them. It is made by New, and its methods may be
// called concurrently.
type Prover struct {
	relay  string
	lookup lookup
	places chan struct{} // a token for each proof that is looked for
	now    func() time.Time

	mu     sync.Mutex
	proven map[string]proof // by domain
}

// proof is that the owner of a domain names own.
type proof struct {
	own string
	at  time.Time // when it was last seen
}

// Options configure a Prover. The zero values of all but Relay are for the internet.
type Options struct {
	// Relay is the relay's domain: "t.example.net".
	Relay string
	// Resolver finds the servers of top-level domains, and the addresses of servers; nil
	// is the system's.
	Resolver *net.Resolver
	// Port is the one of DNS servers; 0 is 53.
	Port int
	// Private allows servers with private addresses. Otherwise only public ones are
	// asked, so that a stranger's domain cannot make the relay send packets into its own
	// network.
	Private bool
}

// New makes a prover.
func New(o Options) *Prover {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Port == 0 {
		o.Port = 53
	}
	return &Prover{relay: o.Relay, lookup: newInternet(o), places: make(chan struct{}, maxAtOnce), now: time.Now, proven: map[string]proof{}}
}

// IsProven reports whether the owner of domain has named own within the last hour, as far
// as it is known without asking.
func (p *Prover) IsProven(domain, own string) bool { return p.seenWithin(domain, own, lasts) }

func (p *Prover) seenWithin(domain, own string, d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.proven[domain]
	return seen.own == own && p.now().Sub(seen.at) < d
}

// Prove asks the servers of domain whether it names own. It returns nil for a proof, also
// for one of the last hour, or of the last day while no server answers. Otherwise it
// returns a *tunnel.Refusal, or CheckName's *tunnel.NameError. All servers of the zone that
// answer must have the record.
func (p *Prover) Prove(ctx context.Context, domain, own string) error {
	if p.IsProven(domain, own) {
		return nil
	}
	return p.ProveAgain(ctx, domain, own)
}

// ProveAgain is Prove, but asks also after a proof of the last hour.
func (p *Prover) ProveAgain(ctx context.Context, domain, own string) error {
	if err := CheckName(domain, p.relay); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay checks too many domains; try again later"}
	}
	found, err := p.find(ctx, domain, own)
	switch {
	case err == nil && found.names:
		p.remember(domain, own)
		return nil
	case err == nil:
		p.forget(domain, own)
		return &tunnel.Refusal{Code: tunnel.CodeUnproven, Message: found.missing(domain, own)}
	case p.seenWithin(domain, own, silence):
		return nil
	}
	return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: fmt.Sprintf("cannot check who owns %s: %v", domain, err)}
}

// remember keeps a proof, in place of another key's.
func (p *Prover) remember(domain, own string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if _, known := p.proven[domain]; !known && len(p.proven) >= maxProofs {
		maps.DeleteFunc(p.proven, func(_ string, seen proof) bool { return now.Sub(seen.at) >= silence })
		for other := range p.proven { // any one: it is looked for again
			if len(p.proven) < maxProofs {
				break
			}
			delete(p.proven, other)
		}
	}
	p.proven[domain] = proof{own, now}
}

func (p *Prover) forget(domain, own string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proven[domain].own == own {
		delete(p.proven, domain)
	}
}

// finding is what the servers of a domain have.
type finding struct {
	names bool   // a record names the key
	alias string // where the domain's CNAME leads instead
}

// missing says which record to make.
func (f finding) missing(domain, own string) string {
	text := domain + " has no record that names this key"
	if f.alias != "" {
		text = fmt.Sprintf("%s leads to %.80s", domain, f.alias)
	}
	return fmt.Sprintf("%s: make the record %s CNAME %s", text, domain, own)
}

// find looks for either record.
func (p *Prover) find(ctx context.Context, domain, own string) (f finding, err error) {
	w := &walk{lookup: p.lookup}
	aliases, err := w.find(ctx, dns.Fqdn(domain), dns.TypeCNAME)
	if err != nil {
		return finding{}, err
	}
	if f.names = all(aliases, dns.Fqdn(own)); f.names {
		return f, nil
	}
	for _, values := range aliases {
		for _, alias := range values {
			f.alias = strings.TrimSuffix(alias, ".")
		}
	}
	texts, err := w.find(ctx, textLabel+"."+dns.Fqdn(domain), dns.TypeTXT)
	f.names = err == nil && all(texts, own)
	return f, err
}

// all reports whether every server has a value.
func all(answers [][]string, value string) bool {
	return len(answers) > 0 && !slices.ContainsFunc(answers, func(values []string) bool { return !slices.Contains(values, value) })
}

// errSilent means that no server of a zone answers.
var errSilent = errors.New("no DNS server of its zone answers")
