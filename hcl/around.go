package hcl

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/zclconf/go-cty/cty"
)

// decodeMaxBody decodes max_body = "10MB"; "0" and null mean no limit.
func decodeMaxBody(f field) *int64 {
	if f.IsNull() || f.is(cty.String) && f.AsString() == "0" {
		return new(int64)
	}
	size, ok := f.size(f.name)
	if !ok {
		return nil
	}
	return &size
}

// decodeRanges decodes allow and deny.
func decodeRanges(f field) *Ranges {
	ranges := &Ranges{Range: f.at()}
	if f.IsNull() {
		return ranges
	}
	elements, ok := f.list("CIDR ranges", `"203.0.113.0/24"`)
	if !ok {
		return nil
	}
	for element, text := range texts(elements, "a CIDR range") {
		if prefix, ok := element.place().prefix(text); ok && !slices.Contains(ranges.Prefixes, prefix) {
			ranges.Prefixes = append(ranges.Prefixes, prefix)
		}
	}
	if len(elements) > 0 && ranges.Prefixes == nil {
		return nil
	}
	return ranges
}

// decodeCORS decodes cors = true, and a list of origins.
func decodeCORS(f field) *CORS {
	switch {
	case f.is(cty.Bool):
		return &CORS{Own: true, Range: f.at()}
	case f.isList():
		return decodeOrigins(f.value)
	}
	detail := `write true for the hosts of this Proxyfile, or ["https://app.example.com"]`
	if f.is(cty.String) {
		detail = "write [" + f.written() + "]"
	}
	f.errorf(detail, "cors must be true, false or a list of origins")
	return nil
}

func decodeOrigins(v value) *CORS {
	c := &CORS{Range: v.at()}
	elements := v.elements()
	if len(elements) == 0 {
		v.errorf("write false to allow none", "cors has no origins")
		return nil
	}
	for element, text := range texts(elements, "an origin") {
		switch {
		case text == "*" && len(elements) > 1:
			element.errorf(`write ["*"] for all origins without credentials, or list the others without "*"`, `"*" can't be combined with other origins`)
		case text == "*":
			c.Any = true
			c.Flows = setFlow(c.Flows, "*", element.flow())
		default:
			if origin := element.place().origin(text); origin != "" && !slices.Contains(c.Origins, origin) {
				c.Origins = append(c.Origins, origin)
				c.Flows = setFlow(c.Flows, origin, element.flow())
			}
		}
	}
	if !c.Any && c.Origins == nil {
		return nil
	}
	return c
}

// originScheme matches any scheme (RFC 3986 section 3.1): pages of desktop and
// mobile frameworks have their own.
var originScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// origin returns text as browsers send it in Origin (RFC 6454 section 6.2): in
// lower case, without the default port. It returns "" for a mistake.
func (p place) origin(text string) string {
	scheme, rest, isURL := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if !p.passes(
		when(text == "null", "name the page's own origin", `any page can have the origin "null"`),
		when(!isURL || !originScheme.MatchString(scheme), suggest("https://"+strings.TrimLeft(text, "/")), "an origin needs a scheme"),
		when(strings.Contains(rest, "*"), "list each of them; true allows all names of a wildcard host of this Proxyfile", `an origin can't contain "*"`),
		when(strings.Contains(rest, "@"), suggest(scheme+"://"+rest[strings.LastIndexByte(rest, '@')+1:]), "an origin can't have a user name"),
		when(end >= 0, suggest(scheme+"://"+rest[:max(end, 0)]), "an origin can't have a path"),
	) {
		return ""
	}
	return p.serialize(strings.ToLower(scheme), rest, text)
}

// serialize returns the origin with that scheme and authority.
func (p place) serialize(scheme, authority, text string) string {
	const example = `write one like "https://app.example.com:8443"`
	u, err := url.Parse("http://" + authority)
	if !p.passes(when(err != nil || !isDialable(u.Hostname()), example, "%q is not a valid origin", text)) {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + addr.String() + "]"
	}
	port := u.Port()
	if port == map[string]string{"http": "80", "https": "443"}[scheme] || port == "" {
		return scheme + "://" + host
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if !p.passes(when(err != nil || n == 0, example, "port %s is out of range", port)) {
		return ""
	}
	return scheme + "://" + host + ":" + strconv.FormatUint(n, 10)
}

const (
	// minCost is the lowest cost that bcrypt allows.
	minCost = 4
	// maxCost takes a core two to three seconds. With more, a few clients with
	// wrong passwords could keep the machine busy.
	maxCost = 15
	// maxUser bounds a user name of basic_auth, which is sent in a header field.
	maxUser = 255
)

// bcryptHash matches a hash in the form of crypt(3). "2x" is left out: it marks
// the hashes of a library with a bug.
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

const hashCommand = "run devproxy hash-password and write what it prints"

// decodeBasicAuth decodes basic_auth = { NAME = "bcrypt hash" }.
func decodeBasicAuth(f field) *BasicAuth {
	if !f.isObject() {
		f.errorf(`write basic_auth = { NAME = "HASH" }; for the hash, `+hashCommand, "basic_auth must be an object of user names and hashes")
		return nil
	}
	fields := f.fields()
	if len(fields) == 0 {
		f.errorf("write null for no password", "basic_auth has no users")
		return nil
	}
	auth := &BasicAuth{Users: map[string]string{}}
	for _, user := range fields {
		if hash := user.hash(); user.isUserName() && hash != "" {
			auth.Users[user.name] = hash
		}
	}
	if len(auth.Users) < len(fields) {
		return nil
	}
	return auth
}

// isUserName checks the name of f (RFC 7617 section 2).
func (f field) isUserName() bool {
	return f.scope.at(f.nameAt).passes(
		when(f.name == "", `write one like "ann"`, "the user name is empty"),
		when(strings.Contains(f.name, ":"), suggest(strings.ReplaceAll(f.name, ":", "-")), `a user name can't contain ":"`),
		when(strings.ContainsFunc(f.name, unicode.IsControl), "remove it", "the user name contains a control character"),
		when(len(f.name) > maxUser, "", "a user name can have at most %d bytes", maxUser),
	)
}

// hash returns the bcrypt hash f; "" for a mistake. No diagnostic contains the
// text, which may be a password.
func (f field) hash() string {
	switch {
	case !f.IsWhollyKnown():
		return ""
	case f.IsNull() || f.Type() != cty.String:
		f.errorf(hashCommand, "the hash of %q must be a string", f.name)
		return ""
	}
	text := f.AsString()
	m := bcryptHash.FindStringSubmatch(text)
	if m == nil {
		summary := fmt.Sprintf("this is a password for %q, not a bcrypt hash", f.name)
		if strings.HasPrefix(text, "$") || strings.HasPrefix(text, "{") {
			summary = fmt.Sprintf("the bcrypt hash for %q is not complete", f.name)
		}
		f.errorf(hashCommand, "%s", summary)
		return ""
	}
	if cost, _ := strconv.Atoi(m[1]); cost < minCost || cost > maxCost {
		f.errorf(hashCommand, "the cost of this hash is %d; it must be %d to %d", cost, minCost, maxCost)
		return ""
	}
	return text
}

// decodeRateLimit decodes rate_limit = "10/s" or { rate, burst, by }.
func decodeRateLimit(f field) *RateLimit {
	limit := &RateLimit{By: RateByAddress, Range: f.at()}
	before := len(f.scope.diags)
	switch {
	case f.isObject():
		decodeObject(f.value, "rate_limit", rateEntries(), limit)
		if limit.Count == 0 && len(f.scope.diags) == before && f.IsWhollyKnown() {
			f.errorf(`write rate_limit = { rate = "10/s" }`, "rate_limit has no rate")
		}
	default:
		limit.Count, limit.Per = f.rate()
	}
	if limit.Count == 0 || limit.By == "" || len(f.scope.diags) > before {
		return nil
	}
	limit.Burst = cmp.Or(limit.Burst, limit.Count)
	return limit
}

func rateEntries() []entry[RateLimit] {
	words := []string{string(RateByAddress), string(RateByUser), string(RateByAll)}
	meant := map[string]string{"ip": `write "address"`, "client": `write "address"`}
	return []entry[RateLimit]{
		{name: "rate", decode: func(f field, limit *RateLimit) { limit.Count, limit.Per = f.rate() }},
		{name: "burst", decode: func(f field, limit *RateLimit) { limit.Burst = f.count("burst", maxRate) }},
		{name: "by", decode: func(f field, limit *RateLimit) { limit.By = RateKey(f.oneOf(words, meant)) }},
	}
}

const (
	// minCacheSize is about one large response. A smaller cache would be useless.
	minCacheSize = 100_000
	// maxCacheSize is more memory than a developer's machine has to spare. More is
	// a mistake.
	maxCacheSize = 64 << 30
)

// decodeCache decodes cache = true or { size }.
func decodeCache(f field) *Cache {
	c := &Cache{Size: DefaultCacheSize, Range: f.at()}
	switch {
	case f.is(cty.Bool):
		return c
	case !f.isObject():
		detail := "write true"
		if f.is(cty.String) {
			detail = "write { size = " + f.written() + " }"
		}
		f.errorf(detail, "cache must be true, false or an object")
		return nil
	}
	decodeObject(f.value, "cache", []entry[Cache]{{name: "size", decode: func(f field, c *Cache) { c.Size = cacheSize(f) }}}, c)
	if c.Size == 0 {
		return nil
	}
	return c
}

// cacheSize returns the size of a cache; 0 for a mistake.
func cacheSize(f field) int64 {
	size, ok := f.size("size")
	if ok && (size < minCacheSize || size > maxCacheSize) {
		f.errorf(`write a size from "100kB" to "64GiB"; the cache is in memory`, "the cache size %q is out of range", f.AsString())
		return 0
	}
	return size
}

// maxDelay bounds a simulated delay: no browser waits longer.
const maxDelay = time.Hour

// decodeSimulate decodes simulate = { delay, errors, bandwidth }.
func decodeSimulate(f field) *Simulate {
	const example = `write simulate = { delay = "300ms", errors = "5%" }`
	switch {
	case !f.isObject():
		f.errorf(example, "simulate must be an object with delay, errors or bandwidth")
		return nil
	case f.LengthInt() == 0:
		f.errorf(example, "simulate is empty")
		return nil
	}
	s := &Simulate{}
	decodeObject(f.value, "simulate", []entry[Simulate]{
		{name: "delay", decode: func(f field, s *Simulate) { s.Delay = simulatedDelay(f) }},
		{name: "errors", decode: func(f field, s *Simulate) { s.Errors, _ = f.percent("errors") }},
		{name: "bandwidth", decode: func(f field, s *Simulate) { s.Bandwidth = f.bandwidth() }},
	}, s)
	return s
}

func simulatedDelay(f field) time.Duration {
	if f.is(cty.Number) {
		// A number without a unit is in milliseconds in other tools.
		f.errorf(suggest(f.written()+"ms"), "a duration must be a string")
		return 0
	}
	return f.within("a delay", 0, maxDelay)
}
