package hcl

import (
	"net/netip"
	"time"
)

// File is a checked Proxyfile with its Proxyfile.local merged in: every
// expression is evaluated, every reference resolved. What a route inherits
// from its host or service is not yet filled in; package plan does that.
type File struct {
	// Path is the absolute path of the Proxyfile, Dir its folder. Both are
	// empty for a file made by ForPort.
	Path, Dir string
	// RealDir is Dir with links followed; empty where that is not known.
	RealDir string

	// Domain is the name all hosts hang under: the domain attribute, else the
	// longest common parent of the hosts.
	Domain string
	// DomainFlow is what flows into the domain attribute.
	DomainFlow Flow
	Listen     Listen
	// Share is the share block; nil when there is none.
	Share *Share
	Hosts []*Host
	// Services are in the order written, used or not.
	Services []*Service

	// Flows are all flows from the environment into attributes, sorted by place.
	Flows []AttributeFlow
	// Mask takes values of the environment out of what is shown.
	Mask *Mask

	// Sources holds the bytes of every file that was read, by the name that
	// ranges carry. Diagnostics and error pages quote from it.
	Sources Sources
	// Read holds the bytes of every file that was read, by absolute path: what
	// this File was made of, for whoever watches the files.
	Read map[string][]byte
	// Watch lists every path that was read or looked for, absolute: a change
	// of any of them, also its coming to be, may change this file.
	Watch []string
}

// Listen is the listen block. The zero value means: not written.
type Listen struct {
	// HTTPS and HTTP are addresses as the --https and --http flags take them:
	// "8443", ":8443", "127.0.0.1:8443". Empty means the default port with its
	// fallback.
	HTTPS, HTTP string
	// ServePlain is true for redirect = false: HTTP serves the plan too.
	ServePlain bool
	Range      Range
}

// Name is a host name or alias, in lower case, with the place it is written.
type Name struct {
	Value string // "shop.localhost" or "*.tenant.shop.localhost"
	Range Range
	Flow  Flow
}

// Host is a host block.
type Host struct {
	Name    Name
	Aliases []Name
	// Settings of the host hold for each of its routes that leaves them out.
	Settings
	Routes []*Route
	// Share is false for a host that is kept out of shares; nil means left
	// out, which shares it.
	Share *bool
	// Range is the block's header: host "NAME".
	Range Range
}

// Route is a route block.
type Route struct {
	// Path is a decoded, clean path prefix: "/" or "/api" (no empty, "." or ".."
	// segment; a trailing slash only with Exact). A "*" in it matches any characters
	// within one segment.
	Path      string
	PathRange Range
	// Exact is true when the route matches Path alone.
	Exact bool
	// Match holds further conditions; nil means none.
	Match *Match
	Settings
	// StripPrefix takes Path off the forwarded path.
	StripPrefix bool
	// Rewrite is the path to forward, with {rest} for what follows Path;
	// empty means unchanged.
	Rewrite     string
	RewriteFlow Flow
	// Range is the block's header: route "PATH".
	Range Range
}

// Match is a route's match attribute. Values compare whole; a "*" in them
// matches any run of characters. All of it must hold.
type Match struct {
	Methods []string          // upper case; empty means any
	Headers map[string]string // by canonical field name
	Query   map[string]string // by parameter name
	Range   Range
	Flow    Flow
}

// Settings is what both a host and a route can say. A nil pointer or empty
// map means: left out.
type Settings struct {
	// At most one of these four is not nil.
	Upstream *Upstream
	Files    *Files
	Redirect *Redirect
	Respond  *Respond

	// TryFiles is the folder whose files come before the upstream; nil means left
	// out. With NoTryFiles it is written as null or false: it undoes the host's.
	TryFiles   *Files
	NoTryFiles bool

	// RequestHeaders and ResponseHeaders are keyed by canonical field name; a
	// nil value removes the field.
	RequestHeaders, ResponseHeaders map[string]*string
	// RequestFlows and ResponseFlows are what flows into those fields, by the
	// same names.
	RequestFlows, ResponseFlows map[string]Flow

	Timeout *time.Duration // to the first response byte; 0 means none
	Hold    *time.Duration // for an upstream that refuses connections; 0 means none

	TLSSkipVerify  *bool
	ForwardedProto ForwardedProto // empty means left out

	// CORS, BasicAuth, RateLimit, Cache and Simulate with their Off set are
	// written as false or null: they undo what the host says.
	CORS      *CORS
	BasicAuth *BasicAuth
	// Allow and Deny are who may ask; an empty list undoes the host's.
	Allow, Deny *Ranges
	RateLimit   *RateLimit
	Compress    *bool
	Cache       *Cache
	MaxBody     *int64 // in bytes; 0 means none
	Simulate    *Simulate
}

// CORS is the cors attribute: which origins of other hosts may read answers.
type CORS struct {
	Off bool
	// Own allows the hosts of this Proxyfile, with credentials: cors = true.
	Own bool
	// Any allows every origin, without credentials: cors = ["*"].
	Any bool
	// Origins are allowed with credentials, serialized as browsers send them
	// ("https://app.example.com", RFC 6454 section 6.2).
	Origins []string
	Range   Range
	// Flows are what flows into Origins, by origin; into "*" for Any.
	Flows map[string]Flow
}

// BasicAuth is the basic_auth attribute (RFC 7617).
type BasicAuth struct {
	Off   bool
	Users map[string]string // bcrypt hashes by name
	Range Range
}

// Ranges is a list of addresses: allow or deny. A single address is a range of
// one.
type Ranges struct {
	Prefixes []netip.Prefix // masked, without 4-in-6
	Range    Range
}

// RateKey is what a rate limit counts by.
type RateKey string

// What rate_limit = { by } can be.
const (
	RateByAddress RateKey = "address" // one IPv4 address, one /64 of IPv6
	RateByUser    RateKey = "user"    // the name of basic_auth; the address where there is none
	RateByAll     RateKey = "all"     // everybody together
)

// RateLimit is the rate_limit attribute.
type RateLimit struct {
	Off   bool
	Count int           // requests, at least 1
	Per   time.Duration // in this time: "10/s", "100/m", "1000/h"
	Burst int           // at once; Count when left out
	By    RateKey       // RateByAddress when left out
	Range Range
}

// Cache is the cache attribute.
type Cache struct {
	Off   bool
	Size  int64 // in bytes; DefaultCacheSize when left out
	Range Range
}

// DefaultCacheSize is how many bytes one route keeps: a few builds of a large
// front end.
const DefaultCacheSize = 64 << 20

// Simulate is the simulate attribute: a slow or failing service. Zero values
// do nothing.
type Simulate struct {
	Off       bool
	Delay     time.Duration // before the first byte
	Errors    float64       // the share of requests that fail, 0 to 1
	Bandwidth int64         // bytes a second of the answer's body
	Range     Range
}

// Upstream is the value of an upstream attribute.
type Upstream struct {
	// Members has at least one element; Service says how they are balanced.
	Members []Member
	// Service is the service it was written as, nil when written in place.
	Service *Service
	// Text is the attribute's expression as written, for people.
	Text  string
	Range Range
}

// Scheme is how an upstream is spoken to.
type Scheme string

// The schemes of an upstream.
const (
	SchemeHTTP  Scheme = "http"  // HTTP/1.1
	SchemeHTTPS Scheme = "https" // HTTP/1.1 or HTTP/2 over TLS, by ALPN
	SchemeH2C   Scheme = "h2c"   // HTTP/2 with prior knowledge (RFC 9113 section 3.3)
)

// Member is one address of an upstream.
type Member struct {
	Scheme Scheme
	// Host is the name or address to dial. Empty means the loopback
	// addresses, 127.0.0.1 and ::1, both tried; so do "localhost" and names
	// below it (RFC 6761 section 6.3), whose Host keeps the name.
	Host string
	// Port is 1 to 65535; 0 for a unix socket.
	Port uint16
	// Socket is the absolute path of a unix socket, else empty.
	Socket string
	// RealSocket is where Socket leads, links followed as far as there is
	// something; empty for a port.
	RealSocket string
	// Text is the member as people know it: ":5173", "h2c://127.0.0.1:50051",
	// "unix:tmp/app.sock". What flows into it is shown by name, but for a port.
	Text  string
	Range Range
	Flow  Flow
}

// Service is a service block.
type Service struct {
	Name     string
	Upstream *Upstream
	// TLSSkipVerify, ForwardedProto, Hold, Timeout: as in Settings.
	TLSSkipVerify  *bool
	ForwardedProto ForwardedProto
	Hold, Timeout  *time.Duration
	Balance        Balance // BalanceRoundRobin when left out
	Health         *Health // nil means that nobody asks
	// Fallback answers when no member does; nil means none.
	Fallback *Upstream
	// Range is the block's header: service "NAME".
	Range Range
}

// ForwardedProto is the scheme that an upstream is told its clients use.
type ForwardedProto string

// The forms of forwarded_proto.
const (
	// ForwardedHTTPS tells the scheme that the client uses, which is nearly always
	// https. It is what holds when nothing is written.
	ForwardedHTTPS ForwardedProto = "https"
	// ForwardedHTTP tells http, in every field of the request that has a scheme.
	ForwardedHTTP ForwardedProto = "http"
)

// Balance is how requests are spread over the members of an upstream.
type Balance string

// The forms of balance.
const (
	BalanceRoundRobin Balance = "round_robin"
	BalanceLeastConn  Balance = "least_conn" // the fewest exchanges under way
	BalanceCookie     Balance = "cookie"     // a browser keeps its member
)

// Health is the health attribute of a service: a GET that each member is asked
// again and again.
type Health struct {
	Path     string        // with its query, as it is sent
	Interval time.Duration // 2 s when left out
	Timeout  time.Duration // of one GET; 1 s when left out, never above Interval
	Rise     int           // answers in a row that make it well; 1 when left out
	Fall     int           // failures in a row that make it ill; 2 when left out
	// Status is what a well member answers; 0 means any of 200 to 399.
	Status int
	Range  Range
	Flow   Flow // into Path, and what the other fields are computed from
}

// Files is the files attribute: a folder, or with an exact route a file; or the
// try_files attribute, a folder.
type Files struct {
	Dir string // absolute
	// Real is where Dir leads, links followed as far as there is something.
	Real  string
	Text  string // as written; what flows into it is shown by name
	SPA   bool   // unknown paths get index.html
	Range Range
	Flow  Flow
}

// Redirect is the redirect attribute.
type Redirect struct {
	Target string // URL or path, with {rest} for what follows the route's path
	Status int    // 301, 302, 303, 307 or 308; 302 when left out
	Range  Range
	Flow   Flow // into target and status
}

// Respond is the respond attribute.
type Respond struct {
	Status  int // 200 to 599
	Body    string
	Headers map[string]string // by canonical field name
	Range   Range
	Flow    Flow // into all of it
}
