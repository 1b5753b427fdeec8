package hcl

import (
	"net/netip"
	"time"
)

// Share is the share block. Reading it publishes nothing: it says how this
// project is shared once somebody asks for that.
type Share struct {
	// Relays may carry the share, the first that works: a relay's domain in lower
	// case, with its port where that is not 443 ("t.example.com",
	// "share.localhost:8444"), a provider's word ("cloudflare"), or the URL of an
	// SSH server. Nil means left out.
	Relays []Name
	// Hosts are names of hosts of this file, wildcards as they are written
	// there. Nil means left out: all but those with share = false.
	Hosts []Name
	// Name is a plain, lasting label, in lower case; empty means left out.
	Name string
	// Password is asked of every visitor; empty means none, unless Unset is
	// not empty.
	Password string
	// Unset is the environment variable that the password was to come from
	// and that has no value. Such a share must not start; the file is right.
	Unset string
	// Paths and Public are path prefixes as in Route.Path. Nil Paths are all
	// paths, nil Public none.
	Paths, Public []string
	// Show lists entries that every share hides and this one does not hide:
	// "/rails/mailers", "*.sqlite3". Package share knows which entries exist.
	Show []Name
	// Allow are the addresses of visitors, without bits below their length.
	// Nil means everybody.
	Allow []netip.Prefix
	// Expires is how long the link lives; 0 means left out.
	Expires time.Duration
	// SharedCookies is true when the hosts of the share have cookies in common:
	// cookies = "shared".
	SharedCookies bool
	// Flows are what flows into the attributes of the block, by their names.
	Flows map[string]Flow
	// Range is the block's header: share.
	Range Range
}
