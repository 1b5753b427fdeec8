package share

import (
	"net/netip"
	"time"
)

// Host is a shared host: two names of the same.
type Host struct {
	// Local and Public are authorities of https, whose port is left out when it
	// is 443. "*" as the first label of Local is a wildcard; Public has a "*" in
	// its place, in its first label ("*.tenant.…" or "shop-…--*--tenant.…").
	Local, Public string
	// Aliases are other local authorities of the host, also of plain HTTP
	// ("shop.localhost:80"), that responses may name.
	Aliases []string
}

// Options are what a share is made of.
type Options struct {
	// Hosts are the shared hosts; the first one's public name is the link.
	Hosts []Host
	// NotShared are local names, without ports, that are served here and are
	// not part of this share, so that the wildcard of a shared host does not
	// reach them.
	NotShared []string
	// Zone is the public parent of all names, which no stranger's names have. Empty
	// means that there is none. Then the cookies of each host are its own.
	Zone string
	// Together is true when a visitor who reaches one of the names reaches all of
	// them, as at a relay. Then who passes the gate at one host passes it at all,
	// without a zone too: the gate leads through all of them by redirects.
	Together bool
	// LocalZone is the parent of the local names: "shop.localhost". Empty means
	// that they have none.
	LocalZone string
	// Root is the folder of the project, absolute and without symbolic links:
	// /@fs/ paths inside it are not hidden. Empty hides them all.
	Root string
	// Named is true for names that are no secret, since they are plain or somebody
	// else chose them: Secret is asked for, or Password.
	Named bool
	// Secret is what the link of a share with a plain name ends in: at least 16
	// characters that stand for themselves in a URL (RFC 3986 section 2.3).
	Secret []byte
	// Password is asked of every visitor; empty means that there is none. With
	// it the secret of the link lets nobody in.
	Password string
	// Public are path prefixes that need neither secret nor password; "/" is
	// all paths.
	Public []string
	// Paths are the only path prefixes that exist outside; none means all.
	Paths []string
	// Show lists entries that shares hide and this one does not hide: texts that
	// CheckShow accepts.
	Show []string
	// Allow are the visitors' addresses; nil means all, and a list without
	// addresses none.
	Allow []netip.Prefix
	// Until is when the share ends for good; zero means never.
	Until time.Time
	// CookieKey signs the cookies of the gate, 32 bytes. It lives as long as the
	// link does, so that restarts ask nobody again. Needed with a gate only.
	CookieKey []byte
	// Attempts is what guessing at the password has used up. Hand the same to
	// the share that takes this one's place; nil begins anew.
	Attempts *Attempts
}
