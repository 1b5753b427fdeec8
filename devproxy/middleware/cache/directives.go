package cache

import (
	"net/http"
	"strings"
	"time"
)

// directives are those of Cache-Control (RFC 9111 section 5.2), in lower case
// with their arguments, unquoted.
type directives map[string][]string

// parseDirectives reads both forms of arguments, token and quoted-string
// (section 5.2). What cannot be read is left out.
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

// cutDirective takes the first directive of a list.
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
		if text, behind, ok := cutQuoted(s[1:]); ok {
			_, rest, _ = strings.Cut(behind, ",")
			return name, text, rest
		}
		// A quote without an end must not hide a no-store behind it.
	}
	argument, rest, _ = strings.Cut(s, ",")
	return name, strings.TrimSpace(argument), rest
}

// cutQuoted takes a quoted-string (RFC 9110 section 5.6.4) behind its opening
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

// maxDelta stands for all numbers of seconds that are above it (section 1.2.2).
const maxDelta = 1 << 31

// seconds is a directive's delta-seconds. Where there are several that differ,
// or none that can be read, it is 0: what is doubtful is stale (section 4.2.1).
func (d directives) seconds(name string) (value time.Duration, ok bool) {
	values, ok := d[name]
	if !ok {
		return 0, false
	}
	first, valid := delta(values[0])
	for _, other := range values[1:] {
		if v, also := delta(other); !also || v != first {
			valid = false
		}
	}
	if !valid {
		return 0, true
	}
	return first, true
}

// delta reads delta-seconds (section 1.2.2).
func delta(text string) (time.Duration, bool) {
	if text == "" {
		return 0, false
	}
	n := int64(0)
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), maxDelta)
	}
	return time.Duration(n) * time.Second, true
}

// asked is what a request says to caches (section 5.2.1).
type asked struct {
	noStore, noCache, onlyIfCached bool
	maxAge, minFresh, maxStale     time.Duration // -1 when not said
	staleIfError                   time.Duration // -1 when not said (RFC 5861 section 4)
}

// anyStale is a max-stale without a number.
const anyStale = maxDelta * time.Second

func parseAsked(h http.Header) asked {
	d := parseDirectives(h["Cache-Control"])
	a := asked{
		noStore: d.has("no-store"), noCache: d.has("no-cache"), onlyIfCached: d.has("only-if-cached"),
		maxAge: -1, minFresh: -1, maxStale: -1, staleIfError: -1,
	}
	if len(h["Cache-Control"]) == 0 {
		a.noCache = parseDirectives(h["Pragma"]).has("no-cache") // section 5.4
	}
	for name, to := range map[string]*time.Duration{"max-age": &a.maxAge, "min-fresh": &a.minFresh, "max-stale": &a.maxStale, "stale-if-error": &a.staleIfError} {
		if v, ok := d.seconds(name); ok {
			*to = v
		}
	}
	if values := d["max-stale"]; len(values) > 0 && values[0] == "" {
		a.maxStale = anyStale
	}
	return a
}
