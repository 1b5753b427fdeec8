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
	// CheckShow reports whether an entry of `share { show = […] }` opens
	// something that a share hides, and the entry that was probably meant where
	// it does not. Nil checks nothing.
	CheckShow func(entry string) (near string, ok bool)
	// Root is the folder of the project, links followed: what lies below it is
	// not outside. Empty means the Proxyfile's folder.
	Root string
}

// Plan is what is to be served: hosts with their routes, everything inherited
// filled in. Plans are immutable and safe for concurrent use.
type Plan struct {
	hosts  []*Host
	table  table
	shares []*Share // one a folder

	effects []*Effect
	mask    *hcl.Mask
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
	// fewer stars before more, exact before prefix, more conditions before fewer.
	Routes []*Route
	Source Source

	names   []name // Name and Aliases, each with its line
	tree    tree   // of Routes
	guarded bool   // one of Routes is
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
	Path  string // "/" or "/api"; "*" in it is any characters within one segment
	Exact bool
	Match Conditions

	// Answer is one of *Upstream, *Files, *Redirect, *Respond.
	Answer Answer

	// TryFiles is the folder whose files answer before an *Upstream; nil means
	// none.
	TryFiles *TryFiles

	StripPrefix bool
	Rewrite     string // path to forward, {rest} in it; empty means unchanged

	RequestHeaders, ResponseHeaders []Header // sorted by name

	// ForwardedHTTP tells the upstream that its clients use plain HTTP. False tells
	// it the scheme that they use.
	ForwardedHTTP bool

	Timeout time.Duration // to the first response byte; 0 means none
	Hold    time.Duration // for a refusing upstream; 0 means none

	// What is put around the answer, in the order in which a request meets it.
	Access    Access
	RateLimit *RateLimit // nil means none
	CORS      *CORS      // nil means that no field of CORS is touched
	// Users are the bcrypt hashes of basic_auth, sorted by name; nil asks for
	// none.
	Users    []User
	MaxBody  int64 // bytes of a request's body; 0 means any number
	Compress bool
	Cache    *Cache    // nil means none; only with an *Upstream
	Simulate *Simulate // nil means none

	// Source is the line that gives the route its answer.
	Source Source

	// guard and effect are equal for routes of a host that let in the same
	// visitors, and that do the same with a request.
	guard, effect int
	rank          int // in Host.Routes
}

// Access is who may ask, by address. Denied counts before allowed; an empty
// Allow allows everybody.
type Access struct {
	Allow, Deny []netip.Prefix // sorted
}

// User is who may enter, by basic_auth.
type User struct {
	Name, Hash string
}

// CORS is which other origins may read a route's answers (the Fetch Standard,
// section 3.2).
type CORS struct {
	// Any allows every origin, without credentials.
	Any bool
	// Origins are allowed with credentials, serialized: sorted.
	Origins []string
	// Hosts are names of hosts, aliases and wildcards among them, whose origins
	// are allowed with credentials, whatever the port is devproxy's: sorted.
	Hosts []string
}

// RateKey is what a rate limit counts by.
type RateKey = hcl.RateKey

// The keys of a rate limit.
const (
	RateByAddress = hcl.RateByAddress
	RateByUser    = hcl.RateByUser
	RateByAll     = hcl.RateByAll
)

// RateLimit is how often a route may be asked.
type RateLimit struct {
	Count int
	Per   time.Duration
	Burst int
	By    RateKey
}

// Cache is what a route keeps of its upstream's answers.
type Cache struct {
	Size int64 // bytes
}

// Simulate makes a route slow or failing. Zero values do nothing.
type Simulate struct {
	Delay     time.Duration // before the first byte
	Errors    float64       // the share of requests that fail, 0 to 1
	Bandwidth int64         // bytes a second of the answer's body
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
	Balance Balance
	Health  *Health // nil means that nobody asks
	// Fallback are asked, in order, when no member answers; part of Key.
	Fallback []Member
}

// Balance is how requests are spread over members.
type Balance = hcl.Balance

// The forms of balance.
const (
	BalanceRoundRobin = hcl.BalanceRoundRobin
	BalanceLeastConn  = hcl.BalanceLeastConn
	BalanceCookie     = hcl.BalanceCookie
)

// Health is what each member of an upstream is asked, and how often.
type Health struct {
	Path       string // with its query
	Interval   time.Duration
	Timeout    time.Duration // of one GET
	Rise, Fall int           // answers, failures in a row
	Status     int           // of a well member; 0 means 200 to 399
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
	// Within is the folder, links followed, that a unix socket must not leave,
	// or its own real path; empty for tcp.
	Within string
}

// Files is an answer from a folder. For an exact route Dir may be a file.
type Files struct {
	Dir  string // absolute
	Text string // as written
	SPA  bool
	// Within is the folder, links followed, that Dir must not leave later: the
	// project's, or for one outside its own real path. Empty allows any.
	Within string
}

// TryFiles is a folder whose files come before an upstream.
type TryFiles struct {
	Files
	// Whole is true when the whole path is looked up, for what a route has from its
	// host. False looks up what follows the route's path, as files does.
	Whole bool
}

// Redirect is an answer that sends the visitor elsewhere.
type Redirect struct {
	Target string // with placeholders
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
	// Taken is what the route's path matched, percent-encoded as it came.
	Taken string
	// Rest is what follows the route's path, percent-encoded as it came:
	// empty or beginning with "/".
	Rest string

	values *Values // nil before With
}
