package plan

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// Conditions are the requirements on a request other than its path. The zero
// value accepts every request.
type Conditions struct {
	Methods []string  // sorted; empty means any
	Headers []Pattern // sorted by name, canonical field names
	Query   []Pattern // sorted by name
}

// Pattern is a name with the pattern of its value; "*" in Value matches any run
// of characters.
type Pattern struct {
	Name, Value string
}

func conditions(m *hcl.Match) Conditions {
	if m == nil {
		return Conditions{}
	}
	return Conditions{
		Methods: slices.Sorted(slices.Values(m.Methods)),
		Headers: patterns(m.Headers),
		Query:   patterns(m.Query),
	}
}

func patterns(m map[string]string) []Pattern {
	return mapped(sortedNames(m), func(name string) Pattern { return Pattern{Name: name, Value: m[name]} })
}

// Count returns the number of conditions. A route with more is tried first.
func (c Conditions) Count() int {
	n := len(c.Headers) + len(c.Query)
	if len(c.Methods) > 0 {
		n++
	}
	return n
}

// String lists the conditions: "GET, HEAD; X-Debug: 1; ?draft=*". It is empty
// when there are none.
func (c Conditions) String() string {
	var parts []string
	if len(c.Methods) > 0 {
		parts = append(parts, strings.Join(c.Methods, ", "))
	}
	parts = append(parts, mapped(c.Headers, func(h Pattern) string { return h.Name + ": " + h.Value })...)
	parts = append(parts, mapped(c.Query, func(q Pattern) string { return "?" + q.Name + "=" + q.Value })...)
	return strings.Join(parts, "; ")
}

// match reports whether r satisfies all conditions.
func (c *Conditions) match(r *Request) bool {
	return c.matchMethod(r.Method) &&
		!slices.ContainsFunc(c.Headers, func(h Pattern) bool { return !h.matchHeader(r) }) &&
		!slices.ContainsFunc(c.Query, func(q Pattern) bool { return !q.matchQuery(r.RawQuery) })
}

// failed returns the first condition that r doesn't satisfy, as people read it.
func (c *Conditions) failed(r *Request) string {
	if !c.matchMethod(r.Method) {
		return fmt.Sprintf("method is %s, not %s", r.Method, strings.Join(c.Methods, " or "))
	}
	for _, h := range c.Headers {
		if !h.matchHeader(r) {
			return fmt.Sprintf("header %s is not %q", h.Name, h.Value)
		}
	}
	for _, q := range c.Query {
		if !q.matchQuery(r.RawQuery) {
			return fmt.Sprintf("query parameter %s is not %q", q.Name, q.Value)
		}
	}
	return ""
}

func (c *Conditions) matchMethod(method string) bool {
	return len(c.Methods) == 0 || slices.ContainsFunc(c.Methods, func(pattern string) bool { return glob(pattern, method) })
}

// matchHeader reports whether one of the field's values matches. Host is not a
// header field of a request that net/http has parsed, but people write it as one.
func (p *Pattern) matchHeader(r *Request) bool {
	if p.Name == "Host" {
		return glob(normal(p.Value), normal(r.Host))
	}
	return slices.ContainsFunc(r.Header[p.Name], func(value string) bool { return glob(p.Value, value) })
}

// matchQuery reports whether one of the parameter's values matches. The query is
// read as forms write it: "+" is a space.
func (p *Pattern) matchQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if unescapeQuery(name) == p.Name && glob(p.Value, unescapeQuery(value)) {
			return true
		}
	}
	return false
}

// unescapeQuery decodes s. Text that can't be decoded is kept as it is written.
func unescapeQuery(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// glob reports whether pattern matches all of s; "*" in it is any run of bytes.
// It takes at most len(pattern)*len(s) steps: after a mismatch only the last "*"
// is tried again, one byte further.
func glob(pattern, s string) bool {
	star, retry := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// covers reports whether all requests that satisfy other satisfy c too, as far
// as the patterns show.
func (c *Conditions) covers(other *Conditions) bool {
	if len(c.Methods) > 0 {
		uncovered := func(method string) bool { return !c.matchMethod(method) }
		if len(other.Methods) == 0 || slices.ContainsFunc(other.Methods, uncovered) {
			return false
		}
	}
	return coverAll(c.Headers, other.Headers) && coverAll(c.Query, other.Query)
}

// coverAll reports whether each of wide follows from one of narrow. A "*" in a
// narrow value is covered as any other byte is: by a "*" of the wide one only.
func coverAll(wide, narrow []Pattern) bool {
	for _, w := range wide {
		if !slices.ContainsFunc(narrow, func(n Pattern) bool { return w.Name == n.Name && glob(w.Value, n.Value) }) {
			return false
		}
	}
	return true
}

// excludes reports whether no request satisfies both c and other. Only methods
// exclude each other: a request may have two values of a field or parameter.
func (c *Conditions) excludes(other *Conditions) bool {
	if len(c.Methods) == 0 || len(other.Methods) == 0 {
		return false
	}
	for _, a := range c.Methods {
		for _, b := range other.Methods {
			if glob(a, b) || glob(b, a) || starCount(a)*starCount(b) > 0 {
				return false
			}
		}
	}
	return true
}
