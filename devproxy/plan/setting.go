package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// Setting is something that a route puts around its answer, such as a cache. It
// is immutable plain data: reflect.DeepEqual tells whether two are equal.
//
// To add one, write its type, its lines in around and inheritAround, its entry
// in sinks, and its handler in package middleware. Comparing and
// explaining a route need only these methods.
type Setting interface {
	// Name returns the attribute of the Proxyfile.
	Name() string
	// String returns the value as people read it, without secrets.
	String() string
}

// SettingOf returns the route's setting of type S, and whether it has one.
func SettingOf[S Setting](r *Route) (setting S, ok bool) {
	for _, s := range r.Around {
		if setting, ok = s.(S); ok {
			return setting, true
		}
	}
	return setting, false
}

// namedSetting is a setting as it is compared.
type namedSetting struct {
	name  string
	text  string // empty for none
	value any    // the value to compare in addition to text
}

// around returns the settings around an answer, in the order in which a request
// meets them.
func (b *builder) around(s *hcl.Settings) []Setting {
	var all []Setting
	if a := (Access{Allow: prefixes(s.Allow), Deny: prefixes(s.Deny)}); len(a.Allow)+len(a.Deny) > 0 {
		all = append(all, a)
	}
	limit := func(byUser bool) {
		if l := s.RateLimit; l != nil && !l.Off && (l.By == RateByUser) == byUser {
			all = append(all, RateLimit{Count: l.Count, Per: l.Per, Burst: l.Burst, By: l.By})
		}
	}
	limit(false)
	if c := s.CORS; c != nil && !c.Off {
		all = append(all, b.cors(c))
	}
	if auth := s.BasicAuth; auth != nil && !auth.Off && len(auth.Users) > 0 {
		all = append(all, basicAuth(auth.Users))
	}
	limit(true) // by the user that basic_auth proves
	if n := s.MaxConcurrent; n != nil && *n != 0 {
		all = append(all, MaxConcurrent(*n))
	}
	if n := s.MaxBody; n != nil && *n != 0 {
		all = append(all, MaxBody(*n))
	}
	if on := s.Compress; on != nil && *on {
		all = append(all, Compress{})
	}
	if c := s.Cache; c != nil && !c.Off && s.Upstream != nil { // other answers need none
		all = append(all, Cache{Size: c.Size})
	}
	if m := s.Simulate; m != nil && !m.Off && (m.Delay != 0 || m.Errors != 0 || m.Bandwidth != 0) {
		all = append(all, Simulate{Delay: m.Delay, Errors: m.Errors, Bandwidth: m.Bandwidth})
	}
	return all
}

// inheritAround fills missing settings of a route's s from its host. Users and
// ranges are taken whole: a mixture of two lists could let in, or shut out,
// someone unexpected.
func inheritAround(s, host *hcl.Settings) {
	s.CORS = cmp.Or(s.CORS, host.CORS)
	s.BasicAuth = cmp.Or(s.BasicAuth, host.BasicAuth)
	s.Allow = cmp.Or(s.Allow, host.Allow)
	s.Deny = cmp.Or(s.Deny, host.Deny)
	s.RateLimit = cmp.Or(s.RateLimit, host.RateLimit)
	s.Compress = cmp.Or(s.Compress, host.Compress)
	s.Cache = cmp.Or(s.Cache, host.Cache)
	s.MaxConcurrent = cmp.Or(s.MaxConcurrent, host.MaxConcurrent)
	s.MaxBody = cmp.Or(s.MaxBody, host.MaxBody)
	s.Simulate = cmp.Or(s.Simulate, host.Simulate)
}

// guards reports whether s lets in only some clients.
func guards(s Setting) bool {
	switch s.(type) {
	case Access, BasicAuth:
		return true
	}
	return false
}

// admits reports whether s decides which requests are answered at all.
func admits(s Setting) bool {
	switch s.(type) {
	case RateLimit, MaxBody:
		return true
	}
	return guards(s)
}

// Access says which addresses may send requests. Deny takes precedence; an
// empty Allow allows all others.
type Access struct {
	Allow, Deny []netip.Prefix // sorted
}

// Name returns the name of both lists together.
func (a Access) Name() string { return "access" }

// String lists the ranges: "allow 10.0.0.0/8, deny 10.0.0.1/32".
func (a Access) String() string {
	allow := mapped(a.Allow, func(p netip.Prefix) string { return "allow " + p.String() })
	deny := mapped(a.Deny, func(p netip.Prefix) string { return "deny " + p.String() })
	return strings.Join(append(allow, deny...), ", ")
}

// prefixes returns the ranges of a list, sorted, without those that are within
// another.
func prefixes(r *hcl.Ranges) []netip.Prefix {
	if r == nil {
		return nil
	}
	var kept []netip.Prefix
	for _, p := range slices.SortedFunc(slices.Values(r.Prefixes), netip.Prefix.Compare) {
		if !covered(p, kept) {
			kept = append(kept, p)
		}
	}
	return kept
}

// covered reports whether all of p is in one of ranges.
func covered(p netip.Prefix, ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(wide netip.Prefix) bool {
		return wide.Bits() <= p.Bits() && wide.Contains(p.Addr())
	})
}

// RateKey says what a rate limit counts by.
type RateKey = hcl.RateKey

// The keys of a rate limit.
const (
	RateByAddress = hcl.RateByAddress
	RateByUser    = hcl.RateByUser
	RateByAll     = hcl.RateByAll
)

// RateLimit is how many requests a route takes.
type RateLimit struct {
	Count int
	Per   time.Duration
	Burst int
	By    RateKey
}

// Name returns "rate_limit".
func (l RateLimit) Name() string { return "rate_limit" }

// String returns the limit as people write it: "10/s", "10/s burst 20 by user".
func (l RateLimit) String() string {
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[l.Per]
	text := fmt.Sprintf("%d/%s", l.Count, cmp.Or(unit, l.Per.String()))
	if l.Burst != l.Count {
		text += fmt.Sprintf(" burst %d", l.Burst)
	}
	if l.By != RateByAddress {
		text += " by " + string(l.By)
	}
	return text
}

// CORS says which other origins may read a route's responses (the Fetch
// Standard, section 3.2).
type CORS struct {
	// Any allows every origin, without credentials.
	Any bool
	// Origins are allowed with credentials. They are serialized and sorted.
	Origins []string
	// Hosts are names of hosts, with aliases and wildcards, sorted. Their origins
	// are allowed with credentials, on devproxy's own port.
	Hosts []string
}

// Name returns "cors".
func (c CORS) Name() string { return "cors" }

// String returns whose pages may read responses.
func (c CORS) String() string {
	switch {
	case c.Any:
		return "any origin, without credentials"
	case c.Hosts != nil:
		return "pages of " + strings.Join(c.Hosts, ", ")
	}
	return strings.Join(c.Origins, ", ")
}

// HasHost reports whether name is one of Hosts. A wildcard is one label, as in TLS.
func (c CORS) HasHost(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(c.Hosts, func(host string) bool {
		below, wild := strings.CutPrefix(host, "*.")
		return host == name || wild && below == parent && name != "."+parent
	})
}

func (b *builder) cors(c *hcl.CORS) CORS {
	if c.Own {
		return CORS{Hosts: b.allNames()}
	}
	return CORS{Any: c.Any, Origins: slices.Sorted(slices.Values(c.Origins))}
}

// allNames returns the names of all hosts of the file, aliases included.
func (b *builder) allNames() []string {
	var names []string
	for _, h := range b.file.Hosts {
		names = append(names, h.Name.Value)
		for _, alias := range h.Aliases {
			names = append(names, alias.Value)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// BasicAuth are the users who may sign in, sorted by name.
type BasicAuth []User

// User is a name with the bcrypt hash of its password.
type User struct {
	Name, Hash string
}

// Name returns "basic_auth".
func (a BasicAuth) Name() string { return "basic_auth" }

// String lists the users without their hashes.
func (a BasicAuth) String() string {
	return strings.Join(mapped(a, func(u User) string { return u.Name }), ", ")
}

func basicAuth(hashes map[string]string) BasicAuth {
	return mapped(sortedNames(hashes), func(name string) User { return User{Name: name, Hash: hashes[name]} })
}

// MaxConcurrent is how many requests may be in progress at once.
type MaxConcurrent int

// Name returns "max_concurrent".
func (m MaxConcurrent) Name() string { return "max_concurrent" }

// String returns the number.
func (m MaxConcurrent) String() string { return strconv.Itoa(int(m)) }

// MaxBody is how many bytes the body of a request may have.
type MaxBody int64

// Name returns "max_body".
func (m MaxBody) Name() string { return "max_body" }

// String returns the size: "10MB".
func (m MaxBody) String() string { return FormatSize(int64(m)) }

// Compress has responses compressed.
type Compress struct{}

// Name returns "compress".
func (Compress) Name() string { return "compress" }

// String lists the codings.
func (Compress) String() string { return "zstd, br, gzip" }

// Cache is how many bytes of its upstream's responses a route keeps.
type Cache struct {
	Size int64
}

// Name returns "cache".
func (c Cache) Name() string { return "cache" }

// String returns the size: "64MiB".
func (c Cache) String() string { return FormatSize(c.Size) }

// Simulate makes a route slow or failing. Zero values do nothing.
type Simulate struct {
	Delay     time.Duration // before the first byte
	Errors    float64       // the share of requests that fail, 0 to 1
	Bandwidth int64         // bytes per second of the response's body
}

// Name returns "simulate".
func (s Simulate) Name() string { return "simulate" }

// String lists the simulated conditions: "delay 300ms, errors 5%, bandwidth
// 200kB/s".
func (s Simulate) String() string {
	var parts []string
	if s.Delay > 0 {
		parts = append(parts, "delay "+s.Delay.String())
	}
	if s.Errors > 0 {
		parts = append(parts, "errors "+strconv.FormatFloat(s.Errors*100, 'g', 6, 64)+"%")
	}
	if s.Bandwidth > 0 {
		parts = append(parts, "bandwidth "+FormatSize(s.Bandwidth)+"/s")
	}
	return strings.Join(parts, ", ")
}

// FormatSize returns n bytes, 0 or more, in the unit that gives the shortest
// exact text; of two, the one that is a power of 1000.
func FormatSize(n int64) string {
	shortest := strconv.FormatInt(n, 10) + "B"
	for _, unit := range []struct {
		name string
		size int64
	}{{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}} {
		if n == 0 || n%unit.size != 0 {
			continue
		}
		if text := strconv.FormatInt(n/unit.size, 10) + unit.name; len(text) < len(shortest) {
			shortest = text
		}
	}
	return shortest
}

// checkAround warns about settings that do nothing, or shut out everyone. The
// warning is where the setting is written: in route, or in its host.
func (b *builder) checkAround(r *Route, route *hcl.Route, s *hcl.Settings) {
	if _, forwards := r.Answer.(*Upstream); !forwards {
		if route.Rewrite != "" {
			b.warnf(route.PathRange, "remove it, or add an upstream to the route", "rewrite in route %q does nothing: its host doesn't forward requests", r.Label())
		}
		if c := route.Cache; c != nil && !c.Off {
			b.warnf(c.Range, "remove it; files and fixed responses need no cache", "cache does nothing: this route has no upstream")
		}
	}
	if _, signsIn := SettingOf[BasicAuth](r); s.RateLimit != nil && s.RateLimit.By == hcl.RateByUser && !signsIn {
		b.warnf(s.RateLimit.Range, `add basic_auth, or write by = "address"`, "no one signs in here, so addresses are counted")
	}
	if access, ok := SettingOf[Access](r); ok {
		b.checkAccess(access, s)
	}
}

func (b *builder) checkAccess(a Access, s *hcl.Settings) {
	if a.Allow == nil {
		denied := slices.DeleteFunc(slices.Clone(a.Deny), func(p netip.Prefix) bool { return p.Bits() > 0 })
		if len(denied) == 2 { // all of IPv4 and all of IPv6
			b.warnf(s.Deny.Range, "add allow for the addresses that may connect", "everyone is denied")
		}
		return
	}
	allowed := func(p netip.Prefix) bool { return !covered(p, a.Deny) }
	if !slices.ContainsFunc(a.Allow, allowed) {
		b.warnf(s.Deny.Range, "it covers all of allow; remove one of them", "everyone who is allowed is denied")
		return
	}
	loopbacks := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}
	if !slices.ContainsFunc(loopbacks, func(p netip.Prefix) bool { return covered(p, a.Allow) && allowed(p) }) {
		b.warnf(s.Allow.Range, `add "127.0.0.1" and "::1", unless this is for visitors of a share only`, "this machine itself is not allowed")
	}
}

// sink is what becomes of variables in an attribute of the Proxyfile.
type sink struct {
	kinds []Kind // of the effects that they have
	why   string // kinds is empty
}

// sinks has an entry for each attribute of the language. Where kinds is empty,
// and for true, false, null and empty values, a computed value is nevertheless
// an effect of KindSetting, or of KindShare in attributes about shares.
var sinks = map[string]sink{
	"aliases":          {kinds: []Kind{KindHostName}},
	"command":          {kinds: []Kind{KindCommand}},
	"container":        {why: "the name of a service and its port, never sent"},
	"cors":             {kinds: []Kind{KindCORS}},
	"dir":              {kinds: []Kind{KindCommand}},
	"domain":           {kinds: []Kind{KindShare}},
	"env":              {kinds: []Kind{KindCommand}},
	"fallback":         {kinds: []Kind{KindUpstream, KindSocket}},
	"files":            {kinds: []Kind{KindFiles}},
	"health":           {kinds: []Kind{KindHealth}},
	"match":            {kinds: []Kind{KindMatch}},
	"redirect":         {kinds: []Kind{KindRedirect}},
	"request_headers":  {kinds: []Kind{KindRequestHeader}},
	"respond":          {kinds: []Kind{KindRespond}},
	"response_headers": {kinds: []Kind{KindResponseHeader}},
	"rewrite":          {kinds: []Kind{KindRewrite}},
	"try_files":        {kinds: []Kind{KindFiles}},
	"status":           {kinds: []Kind{KindRedirect}}, // of a redirect
	"upstream":         {kinds: []Kind{KindUpstream, KindSocket}},
	"relay":            {kinds: []Kind{KindRelay, KindShare}},
	"hosts":            {kinds: []Kind{KindShare}},
	"name":             {kinds: []Kind{KindShare}},
	"paths":            {kinds: []Kind{KindShare}},
	"public":           {kinds: []Kind{KindShare}},
	"callback":         {kinds: []Kind{KindShare}},

	"share":    {why: "true or false, of a host"},
	"tcp":      {why: "names of blocks"},
	"udp":      {why: "names of blocks"},
	"password": {why: "visitors have to know it; it is compared, and never sent"},

	"basic_auth":   {why: "bcrypt hashes: they are compared, and never sent"},
	"allow":        {why: "ranges of addresses that are compared with the client's"},
	"deny":         {why: "ranges of addresses that are compared with the client's"},
	"cookies":      {why: "one word"},
	"rewrite_body": {why: "true or false"},
	"expires":      {why: "a time"},
	"show":         {why: "paths of a fixed table, never sent"},

	"listen": {why: "a port of this machine that devproxy listens on"},

	"https": {why: "a port of this machine that devproxy listens on"},
	"http":  {why: "a port of this machine that devproxy listens on"},

	"balance":         {why: "one of three words"},
	"cache":           {why: "true, false or a size"},
	"compress":        {why: "true or false"},
	"depends_on":      {why: "names of services"},
	"discover":        {why: "one word"},
	"exact":           {why: "true or false"},
	"forwarded_proto": {why: "one of two words"},
	"hold":            {why: "a time"},
	"max_body":        {why: "a size"},
	"max_concurrent":  {why: "a number"},
	"public_host":     {why: "true or false"},
	"rate_limit":      {why: "a rate"},
	"ready":           {why: "a path, a status or a text that devproxy looks for"},
	"restart":         {why: "one of two words"},
	"simulate":        {why: "a delay, a share of errors, a rate"},
	"spa":             {why: "true or false"},
	"stop":            {why: "a time"},
	"strip_prefix":    {why: "true or false"},
	"timeout":         {why: "a time"},
	"tls_skip_verify": {why: "true or false"},
	"worktree":        {why: "true or false"},
}
