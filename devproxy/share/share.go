package share

import (
	"errors"
	"net/netip"
	"regexp"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

// StatePath is the one page of devproxy's own that visitors reach: it says if
// a site that restarts is back. It exists in this spelling alone, with any
// query, for those who may see the path that its parameter "path" asks about.
const StatePath = plan.OwnPaths + "state"

// Share is one state of what is published. It is never changed and may be used
// by many requests at once. Create it with New.
type Share struct {
	opts      Options
	table     table
	zone      string // in lower case; empty for none
	localZone string
	named     bool
	alone     bool // each host is by itself: cookies have no parent to share
	guard     guard
	secret    []byte // empty for none
	// secretPattern finds the secret in other texts; nil for none.
	secretPattern *regexp.Regexp
	allow         []netip.Prefix
	paths         prefixes // nil for all
	public        prefixes
	gate          gate
	machine       *field.Machine
}

// New is a share, or every reason why there cannot be one.
func New(opts Options) (*Share, error) {
	names, err := newTable(&opts)
	if err := errors.Join(err, checkGate(&opts), checkPaths(&opts), checkShow(opts.Show)); err != nil {
		return nil, err
	}
	s := &Share{
		opts: opts, table: names, named: opts.Named,
		zone: lower(opts.Zone), localZone: lower(opts.LocalZone),
		guard: newGuard(opts.Root, opts.Show), allow: unmapped(opts.Allow),
		public: newPrefixes(opts.Public), secret: opts.Secret, machine: new(field.Machine),
	}
	if len(opts.Paths) > 0 {
		s.paths = newPrefixes(opts.Paths)
	}
	if len(opts.Secret) >= minSecret {
		s.secretPattern = newSecretPattern(opts.Secret)
	}
	only := names.hosts[0].public
	s.alone = s.zone == "" || len(names.hosts) == 1 && s.zone == only.name
	s.gate = newGate(&opts, s.alone)
	s.gate.together = !s.gate.open() && opts.Together && s.alone && len(names.hosts) > 1
	return s, nil
}

// unmapped are prefixes as the addresses they are compared with are written.
// A list without prefixes stays one: it is not nil.
func unmapped(prefixes []netip.Prefix) []netip.Prefix {
	if prefixes == nil {
		return nil
	}
	result := make([]netip.Prefix, 0, len(prefixes))
	for _, prefix := range prefixes {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		result = append(result, prefix)
	}
	return result
}

// Visitor is who is at the other end, as whoever carries the bytes tells it.
type Visitor struct {
	// Addr is the visitor's address; zero means not told, and fails every allow.
	Addr netip.AddrPort
	// AddrField is the request field that tells the address in place of Addr, where
	// only whoever carries the bytes can have written it; empty for none.
	AddrField string
	// Scheme is "https" or "http".
	Scheme string
	// Host is the public authority that was asked for, in lower case, without a
	// default port.
	Host string
}

// URL is a public address of a share.
type URL struct {
	// URL is what to open: "https://shop-….t.example.com". In a share that asks
	// for the secret the first one carries it, and opens the others too. Without a
	// zone and Options.Together all of them carry it.
	URL string
	// Local is the authority it stands for: "shop.localhost:8443".
	Local string
}

// URLs are the public addresses in the order of Options.Hosts. That of a
// wildcard host has a "*" in it.
func (s *Share) URLs() []URL {
	secret := ""
	if !s.gate.open() && !s.gate.password {
		secret = "/?" + secretName + "=" + string(s.secret)
	}
	var urls []URL
	for _, host := range s.table.hosts {
		u := URL{URL: "https://" + host.public.String(), Local: host.local.String()}
		if !isWildcard(host.public) {
			u.URL += secret
			if s.zone != "" || s.gate.together {
				secret = ""
			}
		}
		urls = append(urls, u)
	}
	return urls
}

// Ends is when the share ends for good; zero means never.
func (s *Share) Ends() time.Time { return s.opts.Until }
