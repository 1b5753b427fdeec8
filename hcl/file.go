// Package hcl is the Proxyfile language: it turns text into a checked File whose
// parts have their place in the text, or into diagnostics that say what to write.
//
// It is the only importer of hashicorp/hcl. It does not proxy anything: package
// plan interprets a File.
package hcl

import (
	"fmt"
	"net/netip"
	"time"
)

// File is a checked Proxyfile with its Proxyfile.local merged in: every
// expression is evaluated and every reference resolved. It does not contain
// what routes inherit from their host or service; package plan fills that in.
type File struct {
	// Path is the absolute path of the Proxyfile, Dir its folder. Both are
	// empty for a file made by ForPort.
	Path, Dir string
	// RealDir is Dir with links followed; empty if that is unknown.
	RealDir string

	// Domain is the parent name of all hosts: the domain attribute, or the
	// longest common parent of the hosts.
	Domain string
	// DomainFlow is what flows into the domain attribute.
	DomainFlow Flow
	// Relocation is where the hosts have moved, Domain included; nil if they have
	// the names that the file has.
	Relocation *Relocation
	Listen     Listen
	// Discover is DiscoverDocker if containers get routes by their labels; else empty.
	Discover      string
	DiscoverRange Range
	// Share is the share block; nil without one.
	Share *Share
	Hosts []*Host
	// Services are all service blocks in file order, used or not.
	Services []*Service
	// Ports are all tcp blocks in file order, and then all udp blocks.
	Ports []*Port

	// Flows are all flows from the environment into attributes, sorted by place.
	Flows []AttributeFlow
	// Mask removes values of the environment from all output.
	Mask *Mask

	// Sources holds the bytes of every file that was read, by the name used in
	// ranges. Diagnostics and error pages quote from it.
	Sources Sources
	// Read holds the bytes of every file that was read, by absolute path, so
	// that a watcher can tell whether a file has changed since.
	Read map[string][]byte
	// Watch lists the absolute path of every file that was read or looked for.
	// Changing or creating any of them may change this File.
	Watch []string
}

// ForPort returns the file of `devproxy up 5173`: one host that forwards
// everything to a port of this machine. It has no path and no sources.
func ForPort(port uint16, host string) *File {
	text := fmt.Sprintf(":%d", port)
	return &File{
		Domain: host,
		Hosts: []*Host{{
			Name: Name{Value: host},
			Settings: Settings{Upstream: &Upstream{
				Members: []Member{{Scheme: SchemeHTTP, Port: port, Text: text}},
				Text:    fmt.Sprint(port),
			}},
		}},
		Sources: Sources{},
	}
}

// Listen is the listen block. The zero value means no such block.
type Listen struct {
	// HTTPS and HTTP are addresses as the --https and --http flags take them:
	// "8443", ":8443", "127.0.0.1:8443". Empty means the default port with its
	// fallback.
	HTTPS, HTTP string
	// ServePlain is true for redirect = false: plain HTTP serves the hosts too.
	ServePlain bool
	Range      Range
}

// Name is a name or path with its place: a host, an alias or a relay in lower case,
// or an entry of show.
type Name struct {
	Value string // "shop.localhost" or "*.tenant.shop.localhost"
	Range Range
	Flow  Flow
}

// Host is a host block.
type Host struct {
	Name    Name
	Aliases []Name
	// Settings apply to each route that leaves them out.
	Settings
	Routes []*Route
	// Share is false for a host that is kept out of shares. Nil means left
	// out: the host is shared.
	Share *bool
	// Range is the block's header: host "NAME".
	Range Range
}

// Route is a route block.
type Route struct {
	// Path is a decoded, clean path prefix: "/" or "/api". It has no empty, "."
	// or ".." segment, and a trailing slash only with Exact. A "*" in it matches
	// any characters within one segment.
	Path      string
	PathRange Range
	// Exact is true if the route matches Path only.
	Exact bool
	// Match holds further conditions; nil means none.
	Match *Match
	Settings
	// StripPrefix removes Path from the forwarded path.
	StripPrefix bool
	// Rewrite is the path to forward, in which {rest} is what follows Path.
	// Empty means that the path is not changed.
	Rewrite     string
	RewriteFlow Flow
	// Range is the block's header: route "PATH".
	Range Range
}

// Match is a route's match attribute. All conditions must hold. Values are
// compared whole; a "*" in them matches any run of characters.
type Match struct {
	Methods []string          // upper case; empty means any
	Headers map[string]string // by canonical field name
	Query   map[string]string // by parameter name
	Flow    Flow
}

// Settings are the attributes that hosts and routes share. A nil pointer or an
// empty map means left out.
type Settings struct {
	// At most one of these four is not nil.
	Upstream *Upstream
	Files    *Files
	Redirect *Redirect
	Respond  *Respond

	// TryFiles is the folder whose files are tried before the upstream; nil
	// means left out. NoTryFiles is true for null and false, which undo the
	// host's.
	TryFiles   *Files
	NoTryFiles bool

	// RequestHeaders and ResponseHeaders are keyed by canonical field name. A
	// nil value removes the field.
	RequestHeaders, ResponseHeaders map[string]*string
	// RequestFlows and ResponseFlows are what flows into those fields, by the
	// same names.
	RequestFlows, ResponseFlows map[string]Flow

	Timeout *time.Duration // to the first byte of the response; 0 means no limit
	Hold    *time.Duration // for an upstream that refuses connections; 0 means none

	TLSSkipVerify  *bool
	ForwardedProto ForwardedProto // empty means left out
	// PublicHost tells the upstream the public names of a share.
	PublicHost *bool

	// Off in CORS, BasicAuth, RateLimit, Cache and Simulate is true for false
	// and null, which undo the host's setting.
	CORS      *CORS
	BasicAuth *BasicAuth
	// Allow and Deny are client addresses; an empty list undoes the host's.
	Allow, Deny *Ranges
	RateLimit   *RateLimit
	Compress    *bool
	Cache       *Cache
	MaxBody     *int64 // in bytes; 0 means no limit
	// MaxConcurrent is how many requests may be in progress; 0 means no limit.
	MaxConcurrent *int
	Simulate      *Simulate
}

// hasAnswer reports whether s says how to answer a request.
func (s *Settings) hasAnswer() bool {
	return s.Upstream != nil || s.Files != nil || s.Redirect != nil || s.Respond != nil
}

// CORS is the cors attribute: which other origins may read responses.
type CORS struct {
	Off bool
	// Own allows the hosts of this Proxyfile, with credentials: cors = true.
	Own bool
	// Any allows every origin, without credentials: cors = ["*"].
	Any bool
	// Origins are allowed with credentials. They are serialized as browsers
	// send them ("https://app.example.com", RFC 6454 section 6.2).
	Origins []string
	Range   Range
	// Flows are what flows into Origins, by origin; into "*" for Any.
	Flows map[string]Flow
}

// BasicAuth is the basic_auth attribute (RFC 7617).
type BasicAuth struct {
	Off   bool
	Users map[string]string // bcrypt hashes by user name
}

// Ranges is an allow or deny attribute. A single address is a range of one.
type Ranges struct {
	Prefixes []netip.Prefix // masked, without 4-in-6
	Range    Range
}

// RateKey says what a rate limit counts by.
type RateKey string

// The values of by in rate_limit.
const (
	RateByAddress RateKey = "address" // one IPv4 address, or one /64 of IPv6
	RateByUser    RateKey = "user"    // the user name of basic_auth; the address without one
	RateByAll     RateKey = "all"     // all clients together
)

// RateLimit is the rate_limit attribute.
type RateLimit struct {
	Off   bool
	Count int           // requests, at least 1
	Per   time.Duration // in this time: "10/s", "100/m", "1000/h"
	Burst int           // at once; Count if left out
	By    RateKey       // RateByAddress if left out
	Range Range
}

// Cache is the cache attribute.
type Cache struct {
	Off   bool
	Size  int64 // in bytes; DefaultCacheSize if left out
	Range Range
}

// DefaultCacheSize is how many bytes one route stores by default: a few builds
// of a large front end.
const DefaultCacheSize = 64 << 20

// Simulate is the simulate attribute: a slow or failing service. Zero values
// do nothing.
type Simulate struct {
	Off       bool
	Delay     time.Duration // before the first byte
	Errors    float64       // the fraction of requests that fail, 0 to 1
	Bandwidth int64         // of the response body, in bytes per second
}

// Upstream is the value of an upstream attribute.
type Upstream struct {
	// Members has at least one element, or none if Service has a Container. Service says
	// how they are balanced.
	Members []Member
	// Service is the service that the value refers to; nil for addresses.
	Service *Service
	// Text is the attribute's expression as written.
	Text  string
	Range Range
}

// Scheme is the protocol that an upstream speaks.
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
	// Host is the name or address to dial. Empty means the loopback addresses
	// 127.0.0.1 and ::1, which are both tried. The same applies to "localhost"
	// and names below it (RFC 6761 section 6.3), whose Host keeps the name.
	Host string
	// Port is 1 to 65535; 0 for a unix socket.
	Port uint16
	// Socket is the absolute path of a unix socket, or empty.
	Socket string
	// RealSocket is Socket with links followed as far as it exists; empty for a
	// port.
	RealSocket string
	// Text is the member as people know it: ":5173", "h2c://127.0.0.1:50051",
	// "unix:tmp/app.sock". It shows names of variables instead of their values,
	// except for a port.
	Text  string
	Range Range
	Flow  Flow
}

// sameAddress reports whether m and other are the same server.
func (m Member) sameAddress(other Member) bool {
	return m.Scheme == other.Scheme && m.Host == other.Host && m.Port == other.Port && m.Socket == other.Socket
}

// Service is a service block.
type Service struct {
	Name     string
	Upstream *Upstream
	// TLSSkipVerify, ForwardedProto, Hold, Timeout: as in Settings.
	TLSSkipVerify  *bool
	ForwardedProto ForwardedProto
	Hold, Timeout  *time.Duration
	Balance        Balance // BalanceRoundRobin if left out
	Health         *Health // nil means no health check
	// Fallback answers if no member does; nil means none.
	Fallback *Upstream
	// Command is how devproxy runs the service; nil for one that it does not run.
	Command *Command
	// Container is set if the members are containers; nil for addresses.
	Container *Container
	// Range is the block's header: service "NAME".
	Range Range
}

// ForwardedProto is the scheme that devproxy tells an upstream its clients use.
type ForwardedProto string

// The values of forwarded_proto.
const (
	// ForwardedHTTPS tells the scheme that the client uses, which is nearly always
	// https. It is the default.
	ForwardedHTTPS ForwardedProto = "https"
	// ForwardedHTTP tells http, in every field of the request that has a scheme.
	ForwardedHTTP ForwardedProto = "http"
)

// Balance is how requests are spread over the members of an upstream.
type Balance string

// The values of balance.
const (
	BalanceRoundRobin Balance = "round_robin"
	BalanceLeastConn  Balance = "least_conn" // the fewest exchanges in progress
	BalanceCookie     Balance = "cookie"     // a browser keeps its member
)

// Health is the health attribute of a service: a GET that is sent to each
// member repeatedly.
type Health struct {
	Path     string        // with its query, as it is sent
	Interval time.Duration // 2 s if left out
	Timeout  time.Duration // of one GET; 1 s if left out, never above Interval
	Rise     int           // successes in a row that make a member healthy; 1 if left out
	Fall     int           // failures in a row that make a member unhealthy; 2 if left out
	// Status is the status of a healthy member's response; 0 means any of 200
	// to 399.
	Status int
	Flow   Flow // into Path, and into the other fields where they are computed
}

// Files is a files attribute: a folder, or with an exact route a file. It is
// also a try_files attribute, which is a folder.
type Files struct {
	Dir string // absolute
	// Real is Dir with links followed as far as it exists.
	Real  string
	Text  string // as written, with names of variables instead of their values
	SPA   bool   // unknown paths get index.html
	Range Range
	Flow  Flow
}

// Redirect is the redirect attribute.
type Redirect struct {
	Target string // URL or path, in which {rest} is what follows the route's path
	Status int    // 301, 302, 303, 307 or 308; 302 if left out
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

// Share is the share block. It describes how this project is shared when
// someone starts a share; loading it publishes nothing.
type Share struct {
	// Relays may carry the share; the first that works does. Each is a relay's
	// domain in lower case, with its port if that is not 443 ("t.example.com",
	// "share.localhost:8444"), a provider's word ("cloudflare"), or the URL of an
	// SSH server. Nil means left out.
	Relays []Name
	// Hosts are names of hosts of this file, wildcards as written there. Nil
	// means left out: all hosts without share = false.
	Hosts []Name
	// Name is a plain, lasting label in lower case; empty means left out.
	Name string
	// Domain is a domain of the user's own in lower case and punycode, which becomes the
	// public name of the first shared host; empty means left out. A share with one has
	// neither Name nor SharedCookies.
	Domain string
	// Password is the password that every visitor must enter; empty means none,
	// unless Unset is not empty.
	Password string
	// Unset is the environment variable that should hold the password and has no
	// value. Such a share must not start, but the file is valid.
	Unset string
	// Paths and Public are path prefixes as in Route.Path. Nil Paths means all
	// paths, nil Public none.
	Paths, Public []string
	// Callback are the paths of the first shared host that OAuth providers send browsers
	// back to, each in the one spelling that browsers send. Nil means none.
	Callback []string
	// Show lists entries that every other share hides: "/rails/mailers",
	// "*.sqlite3". Package share knows which entries exist.
	Show []Name
	// Allow are the addresses of visitors, without bits beyond their length.
	// Nil means all addresses.
	Allow []netip.Prefix
	// Ports are the tcp blocks to publish, and then the udp blocks. Each has an Access.
	Ports []*Port
	// Expires is how long the link is valid; 0 means left out.
	Expires time.Duration
	// SharedCookies is true for cookies = "shared": the hosts of the share have
	// cookies in common.
	SharedCookies bool
	// KeepBodies is true for rewrite_body = false: URLs in bodies stay as they are.
	KeepBodies bool
	// Flows are what flows into the attributes of the block, by attribute name.
	Flows map[string]Flow
	// Range is the block's header: share.
	Range Range
}
