package cache

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// key is the effective URI of a request (RFC 9110 section 7.1) in its parts. One
// text of all parts could be split in other places: host "a/b" and path "/c" would
// be host "a" and path "/b/c".
type key struct {
	secure bool   // https
	host   string // the authority, in lower case
	target string // path and query as they came: the upstream decides which are the same

	// audience is Client.Audience. Audiences don't share responses.
	audience string
}

func keyOf(r *http.Request, client Client) key {
	k := key{client.Secure, strings.ToLower(r.Host), r.RequestURI, client.Audience}
	if !strings.HasPrefix(k.target, "/") {
		k.target = r.URL.RequestURI()
	}
	return k
}

// size returns what k counts for in bytes.
func (k key) size() int { return len("https://") + len(k.host) + len(k.target) + len(k.audience) }

// refer returns the key of a reference in a response for k, if it has the same
// origin. A response can't invalidate others (RFC 9111 section 4.4).
func (k key) refer(reference string) (referred key, ok bool) {
	base, err := url.ParseRequestURI(k.target)
	if err != nil || reference == "" {
		return key{}, false
	}
	base.Scheme, base.Host = "http", k.host
	if k.secure {
		base.Scheme = "https"
	}
	to, err := base.Parse(reference)
	if err != nil || to.Scheme != base.Scheme || !strings.EqualFold(to.Host, k.host) {
		return key{}, false
	}
	return key{k.secure, k.host, to.RequestURI(), k.audience}, true
}

// query is a request as the cache sees it.
type query struct {
	r       *http.Request
	key     key
	control control
}

// control has a request's instructions to caches (section 5.2.1).
type control struct {
	noStore, noCache, onlyIfCached bool
	maxAge, minFresh, maxStale     time.Duration // unsaid if absent
	staleIfError                   time.Duration // unsaid if absent (RFC 5861 section 4)
}

const (
	unsaid = time.Duration(-1)
	// anyStale is a max-stale without a number.
	anyStale = maxDelta * time.Second
)

func parseControl(h http.Header) control {
	d := parseDirectives(h["Cache-Control"])
	c := control{
		noStore: d.has("no-store"), noCache: d.has("no-cache"), onlyIfCached: d.has("only-if-cached"),
		maxAge: unsaid, minFresh: unsaid, maxStale: unsaid, staleIfError: unsaid,
	}
	if len(h["Cache-Control"]) == 0 {
		c.noCache = parseDirectives(h["Pragma"]).has("no-cache") // section 5.4
	}
	for name, to := range map[string]*time.Duration{"max-age": &c.maxAge, "min-fresh": &c.minFresh, "max-stale": &c.maxStale, "stale-if-error": &c.staleIfError} {
		if v, ok := d.seconds(name); ok {
			*to = v
		}
	}
	if values := d["max-stale"]; len(values) > 0 && values[0] == "" {
		c.maxStale = anyStale
	}
	return c
}

// directives are those of Cache-Control (RFC 9111 section 5.2), in lower case
// with their arguments, unquoted.
type directives map[string][]string

// parseDirectives reads both forms of arguments, token and quoted-string
// (section 5.2). Invalid directives are left out.
func parseDirectives(lines []string) directives {
	d := directives{}
	for _, line := range lines {
		for line != "" {
			var name, argument string
			name, argument, line = cutDirective(line)
			if name != "" {
				d[name] = append(d[name], argument)
			}
		}
	}
	return d
}

// cutDirective cuts off the first directive of a list.
func cutDirective(s string) (name, argument, rest string) {
	end := strings.IndexAny(s, "=,")
	if end < 0 {
		return strings.ToLower(strings.TrimSpace(s)), "", ""
	}
	name = strings.ToLower(strings.TrimSpace(s[:end]))
	if s[end] == ',' {
		return name, "", s[end+1:]
	}
	s = strings.TrimLeft(s[end+1:], " \t")
	if strings.HasPrefix(s, `"`) {
		if text, after, ok := cutQuoted(s[1:]); ok {
			_, rest, _ = strings.Cut(after, ",")
			return name, text, rest
		}
		// A quote without an end must not hide a no-store after it.
	}
	argument, rest, _ = strings.Cut(s, ",")
	return name, strings.TrimSpace(argument), rest
}

// cutQuoted cuts off a quoted-string (RFC 9110 section 5.6.4), after its opening
// quote. ok is false when it has no end.
func cutQuoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func (d directives) has(name string) bool { return d[name] != nil }

// seconds returns the delta-seconds of a directive. If there are several that
// differ, or an invalid one, it is 0: in doubt, a response is stale (section
// 4.2.1).
func (d directives) seconds(name string) (value time.Duration, ok bool) {
	values, ok := d[name]
	if !ok {
		return 0, false
	}
	first, valid := delta(values[0])
	for _, other := range values[1:] {
		v, also := delta(other)
		valid = valid && also && v == first
	}
	if !valid {
		return 0, true
	}
	return first, true
}

// maxDelta replaces all numbers of seconds above it (section 1.2.2).
const maxDelta = 1 << 31

// delta parses delta-seconds (section 1.2.2).
func delta(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil { // it is out of range
		n = maxDelta
	}
	return time.Duration(n) * time.Second, true
}
