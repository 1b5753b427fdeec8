// Package share handles the requests of a share's visitors: it knows which
// public name belongs to which local host, decides which visitors get in, hides
// secrets and developer tools, and rewrites the headers of requests and
// responses from one set of names to the other.
//
// The package is pure: it opens no sockets and no files, and starts no goroutines.
// A Share is immutable; a new one replaces it when a name, the link or the Proxyfile
// changes. The package does not know which provider carries the bytes.
package share

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	// StatePath is the only page of devproxy that visitors reach: it says whether a
	// site that restarts is back. It exists in this spelling alone, with any query, for
	// visitors that may see the path in its parameter "path".
	StatePath = plan.OwnPaths + "state"
	// minSecret is the shortest secret, in characters: with the 32 of base32, 80 bits.
	minSecret = 16
	// cookieKeySize is the size of Options.CookieKey in bytes, that of its hash.
	cookieKeySize = 32
)

// Host is a shared host with its two names.
type Host struct {
	// Local and Public are https authorities, without port 443. "*" as the first
	// label of Local is a wildcard; Public has a "*" in its place, in its first label
	// ("*.tenant.…" or "shop-…--*--tenant.…").
	Local, Public string
	// Aliases are other local authorities of the host that responses may name, of
	// plain HTTP too ("shop.localhost:80").
	Aliases []string
}

// Options configure a share.
type Options struct {
	// Hosts are the shared hosts; the first one's public name is the link.
	Hosts []Host
	// NotShared are local names, without ports, that are served here and are not part
	// of this share, so that the wildcard of a shared host does not reach them.
	NotShared []string
	// Upstreams are the addresses behind the hosts, whose URLs in bodies become public
	// too.
	Upstreams []Upstream
	// PlainPort is the port of plain HTTP on this machine; empty for none. URLs with it
	// in bodies become public too.
	PlainPort string
	// KeepBodies leaves the URLs in bodies unchanged, those of requests and responses.
	KeepBodies bool
	// Zone is the public parent of all names, which no stranger's names have. It
	// may be empty; then each host has its own cookies.
	Zone string
	// Together reports that a visitor who reaches one of the names reaches all of
	// them, as with a relay. Then a visitor who passes the gate at one host passes it
	// at all of them, even without a zone: the gate leads through them by redirects.
	Together bool
	// LocalZone is the parent of the local names, "shop.localhost"; empty for none.
	LocalZone string
	// Root is the folder of the project, absolute and without symbolic links:
	// /@fs/ paths in it are not hidden. Empty hides them all.
	Root string
	// Named reports that the names are not secret: they are plain, or someone else
	// chose them. Then visitors need Secret or Password.
	Named bool
	// Secret is the end of the link of a share with a plain name: at least 16
	// characters that need no encoding in a URL (RFC 3986 section 2.3).
	Secret []byte
	// Password is required of every visitor; empty is none. With a password, the
	// secret of the link does not open the gate.
	Password string
	// Public are path prefixes that need neither secret nor password; "/" is all
	// paths.
	Public []string
	// Callback are the URLs of the project's callback host, all of one host; nil for none.
	Callback []string
	// Paths are the only path prefixes that exist outside; none means all.
	Paths []string
	// Show lists entries that shares hide and this one does not: texts that CheckShow
	// accepts.
	Show []string
	// Allow are the visitors' addresses; nil allows all, an empty list none.
	Allow []netip.Prefix
	// Until is when the share ends for good; zero means never.
	Until time.Time
	// CookieKey signs the cookies of the gate, 32 bytes. It lives as long as the link,
	// so that visitors stay signed in after a restart. Only a gate needs it.
	CookieKey []byte
	// Attempts counts the wrong passwords. Pass the same to the share that replaces
	// this one; nil starts a new count.
	Attempts *Attempts
}

// Attempts counts wrong passwords. It outlives the shares of one link, so that no
// change of the Proxyfile grants more attempts. Create it with NewAttempts.
type Attempts = access.Attempts

// NewAttempts returns Attempts that have counted nothing.
func NewAttempts() *Attempts { return access.NewAttempts() }

// Share is one state of a published project. It is immutable, and may be used
// by many requests at once. Create it with New.
type Share struct {
	opts    Options
	names   names
	guard   guard
	gate    gate
	secret  linkSecret
	paths   prefixes // none for all
	public  prefixes
	machine *field.Machine
}

// New returns a share, or all mistakes in opts.
func New(opts Options) (*Share, error) {
	names, err := newNames(&opts)
	if err := errors.Join(err, checkGate(&opts), checkPaths("paths", opts.Paths), checkPaths("public", opts.Public), checkShow(opts.Show)); err != nil {
		return nil, err
	}
	opts.Allow = unmapped(opts.Allow)
	return &Share{
		opts: opts, names: names, guard: newGuard(opts.Root, opts.Show), gate: newGate(&opts, &names),
		secret: newSecret(opts.Secret), paths: newPrefixes(opts.Paths), public: newPrefixes(opts.Public), machine: new(field.Machine),
	}, nil
}

func checkGate(opts *Options) error {
	gated := opts.Named || opts.Password != ""
	switch {
	case !gated || newPrefixes(opts.Public).all():
		return nil
	case opts.Password == "" && len(opts.Secret) < minSecret:
		return fmt.Errorf("the secret of a share with a plain name has %d characters; fewer than %d can be guessed", len(opts.Secret), minSecret)
	case opts.Password == "" && strings.ContainsFunc(string(opts.Secret), isReserved):
		return errors.New("the secret of the share has characters that must be encoded in a URL (RFC 3986 section 2.3)")
	case len(opts.CookieKey) != cookieKeySize:
		return fmt.Errorf("the key that signs the cookies of the gate has %d bytes, not %d", len(opts.CookieKey), cookieKeySize)
	}
	return nil
}

func isReserved(r rune) bool {
	alphanumeric := '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	return !alphanumeric && !strings.ContainsRune("-._~", r)
}

func checkPaths(attribute string, paths []string) error {
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%q in `share { %s }` matches nothing: a path begins with \"/\"", path, attribute)
		}
	}
	return nil
}

// unmapped normalizes prefixes like the addresses that they are compared with. An
// empty list stays empty: it is not nil.
func unmapped(prefixes []netip.Prefix) []netip.Prefix {
	result := slices.Clone(prefixes)
	for i, prefix := range result {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			result[i] = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
	}
	return result
}

// Visitor is the client of a request, as the provider reports it.
type Visitor struct {
	// Addr is the visitor's address. Zero is unknown, which no allow list contains.
	Addr netip.AddrPort
	// AddrField is the request field with the address that replaces Addr, where only
	// the provider can have written it; empty for none.
	AddrField string
	// Scheme is "https" or "http".
	Scheme string
	// Host is the public authority of the request, in lower case, without a default
	// port.
	Host string
}

// URL is a public address of a share.
type URL struct {
	// URL is the address to open: "https://shop-….t.example.com". If the gate needs
	// the secret, the first URL contains it, and opens the other hosts too. Without
	// a zone and Options.Together, every URL contains it.
	URL string
	// Local is the authority of the local host: "shop.localhost:8443".
	Local string
}

// URLs returns the public addresses in the order of Options.Hosts. That of a
// wildcard host contains a "*".
func (s *Share) URLs() []URL {
	query := ""
	if !s.gate.open() && !s.gate.password {
		query = "/?" + secretName + "=" + string(s.secret.value)
	}
	var urls []URL
	for _, host := range s.names.hosts {
		u := URL{URL: "https://" + host.public.String(), Local: host.local.String()}
		if !isWildcard(host.public) {
			u.URL += query
			if s.opts.Zone != "" || s.gate.together {
				query = ""
			}
		}
		urls = append(urls, u)
	}
	return urls
}

// Ends returns when the share ends for good; zero means never.
func (s *Share) Ends() time.Time { return s.opts.Until }

// seenBy returns the share with the port that v used in its public names: a relay
// may be reached by another port than the one in its links.
func (s *Share) seenBy(v Visitor) *Share {
	public, ok := parseAuthority(v.Host, httpsPort)
	if !ok || public.port == s.names.port || v.Scheme == "http" {
		return s
	}
	seen := *s
	seen.names = s.names.seenAt(public.port)
	return &seen
}
