// Package plan turns a checked Proxyfile into an immutable plan and answers,
// for a request, which route is its own. It does no I/O, holds no lock and has
// no setter: a plan is built, matched, compared and printed.
package plan

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// Env is what a plan depends on beside its file.
type Env struct {
	// Bound are the addresses devproxy itself listens on. An upstream that is
	// one of them is a loop, and an error.
	Bound []netip.AddrPort
}

// Plan is what is to be served: hosts with their routes, everything inherited
// filled in. Plans are immutable and safe for concurrent use.
type Plan struct {
	hosts  []*Host
	table  table
	shares []*Share // one a folder
}

// Hosts are the plan's hosts in the order of the file. The caller must not
// change them.
func (p *Plan) Hosts() []*Host { return p.hosts }

// Host is one host of a plan.
type Host struct {
	Name    string   // "shop.localhost" or "*.tenant.shop.localhost"
	Aliases []string // further names of the same form
	// Folder is the folder of the Proxyfile that claims the host.
	Folder string
	// Routes are in the order in which they are tried: the longest path first,
	// exact before prefix, more conditions before fewer.
	Routes []*Route
	Source Source

	names []name // Name and Aliases, each with its line
	tree  tree   // of Routes
}

type name struct {
	value  string
	source Source
}

// Route is one route of a host, its own settings and the inherited ones.
type Route struct {
	// ID is the route's identity across plans: host, path, exact and match.
	ID    string
	Host  *Host
	Path  string // "/" or "/api"
	Exact bool
	Match Conditions

	// Answer is one of *Upstream, *Files, *Redirect, *Respond.
	Answer Answer

	StripPrefix bool
	Rewrite     string // path to forward, {rest} in it; empty means unchanged

	RequestHeaders, ResponseHeaders []Header // sorted by name

	Timeout time.Duration // to the first response byte; 0 means none
	Hold    time.Duration // for a refusing upstream; 0 means none

	// Source is the line that gives the route its answer.
	Source Source
}

// DefaultHold is how long a request waits for an upstream that refuses
// connections when nothing else is written.
const DefaultHold = 10 * time.Second

// Conditions are what a request must satisfy beside its path. The zero value
// asks nothing.
type Conditions struct {
	Methods []string  // sorted; empty means any
	Headers []Pattern // sorted by name, canonical field names
	Query   []Pattern // sorted by name
}

// Pattern is a name with the form its value must have; "*" in Value matches
// any run of characters.
type Pattern struct {
	Name, Value string
}

// Header is a field that a route replaces (Value) or removes.
type Header struct {
	Name   string // canonical
	Value  string
	Remove bool
}

// Source is where something is written, as error pages quote it.
type Source struct {
	File string // as people know it; "Proxyfile"
	Line int    // from 1; 0 means not written in a file
	Text string // that line without the white space around it
}

// Answer is what a route answers with.
type Answer interface {
	// String is the answer in a few words: ":5173", "files site/dist",
	// "redirect /docs{rest}", "respond 204".
	String() string
	answer()
}

// Upstream is an answer from elsewhere. Two upstreams with equal Key are the
// same one: connections and state are shared between them and survive plans.
type Upstream struct {
	// Key is the resolved spec as text: addresses, protocol, TLS, balance.
	Key     string
	Members []Member
	Text    string // for people: ":5173", ":3000, :3001"
}

// Scheme is how an upstream is spoken to, as the Proxyfile says it.
type Scheme = hcl.Scheme

// The schemes of an upstream.
const (
	SchemeHTTP  = hcl.SchemeHTTP
	SchemeHTTPS = hcl.SchemeHTTPS
	SchemeH2C   = hcl.SchemeH2C
)

// Member is one address of an upstream.
type Member struct {
	Scheme Scheme
	// Network is "tcp" or "unix". Addrs are dialled in order until one
	// answers: "127.0.0.1:5173" and "[::1]:5173" for a port, a path for unix.
	Network string
	Addrs   []string
	// Authority is the Host header and, with https, the SNI towards the
	// upstream; empty keeps the visitor's Host.
	Authority string
	// ServerName is the TLS name; empty without TLS.
	ServerName string
	// SkipVerify accepts any certificate: a loopback upstream's self-signed
	// one, or where tls_skip_verify says so.
	SkipVerify bool
	Text       string // ":5173"
}

// Files is an answer from a folder.
type Files struct {
	Dir  string // absolute
	Text string // as written
	SPA  bool
}

// Redirect is an answer that sends the visitor elsewhere.
type Redirect struct {
	Target string // {rest} in it is what follows the route's path
	Status int
}

// Respond is a fixed answer.
type Respond struct {
	Status  int
	Body    string
	Headers []Header // sorted by name; none removes
}

// Request is what a route is chosen by.
type Request struct {
	Method string
	// Host is the authority without its port, in any case; a trailing dot is
	// ignored.
	Host string
	// Path is the request target's path as it came, still percent-encoded.
	Path     string
	RawQuery string
	Header   http.Header
}

// Match is the route of a request.
type Match struct {
	Route *Route
	// Rest is what follows the route's path, percent-encoded as it came:
	// empty or beginning with "/".
	Rest string
}
