package plan

import (
	"fmt"
	"net/url"
	"strings"
)

// Count is the number of conditions; a route with more is tried first.
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
	for _, h := range c.Headers {
		parts = append(parts, h.Name+": "+h.Value)
	}
	for _, q := range c.Query {
		parts = append(parts, "?"+q.Name+"="+q.Value)
	}
	return strings.Join(parts, "; ")
}

// hold reports whether r satisfies all conditions.
func (c *Conditions) hold(r *Request) bool {
	if len(c.Methods) > 0 && !c.holdsMethod(r.Method) {
		return false
	}
	for i := range c.Headers {
		if !c.Headers[i].holdsHeader(r) {
			return false
		}
	}
	for i := range c.Query {
		if !c.Query[i].holdsQuery(r.RawQuery) {
			return false
		}
	}
	return true
}

// failed is the first condition that r does not satisfy, as people read it.
func (c *Conditions) failed(r *Request) string {
	if len(c.Methods) > 0 && !c.holdsMethod(r.Method) {
		return fmt.Sprintf("method is %s, not %s", r.Method, strings.Join(c.Methods, " or "))
	}
	for _, h := range c.Headers {
		if !h.holdsHeader(r) {
			return fmt.Sprintf("header %s is not %q", h.Name, h.Value)
		}
	}
	for _, q := range c.Query {
		if !q.holdsQuery(r.RawQuery) {
			return fmt.Sprintf("query parameter %s is not %q", q.Name, q.Value)
		}
	}
	return ""
}

func (c *Conditions) holdsMethod(method string) bool {
	for _, pattern := range c.Methods {
		if glob(pattern, method) {
			return true
		}
	}
	return false
}

// holdsHeader reports whether one of the field's values is as wanted. Host is
// no header field of a parsed request (net/http), but people write it as one.
func (p *Pattern) holdsHeader(r *Request) bool {
	if p.Name == "Host" {
		return glob(normal(p.Value), normal(r.Host))
	}
	for _, value := range r.Header[p.Name] {
		if glob(p.Value, value) {
			return true
		}
	}
	return false
}

// holdsQuery reports whether one of the parameter's values is as wanted. The
// query is read as forms write it: "+" is a space.
func (p *Pattern) holdsQuery(query string) bool {
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

// unescapeQuery decodes s. What cannot be decoded is taken as it is written.
func unescapeQuery(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// glob reports whether pattern, in which "*" is any run of bytes, is the whole
// of s. It needs at most len(pattern)*len(s) steps: after a mismatch only the
// last "*" is tried again, one byte further.
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

// covers reports whether everything that satisfies other satisfies c too, as
// far as that can be told from the patterns.
func (c *Conditions) covers(other *Conditions) bool {
	if len(c.Methods) > 0 {
		if len(other.Methods) == 0 {
			return false
		}
		for _, m := range other.Methods {
			if !c.holdsMethod(m) {
				return false
			}
		}
	}
	return coverAll(c.Headers, other.Headers) && coverAll(c.Query, other.Query)
}

// coverAll reports whether each of wide follows from one of narrow.
func coverAll(wide, narrow []Pattern) bool {
	for _, w := range wide {
		follows := false
		for _, n := range narrow {
			// A "*" in the narrow value is covered as any other byte is: only
			// by a "*" of the wide one, or by itself.
			follows = follows || w.Name == n.Name && glob(w.Value, n.Value)
		}
		if !follows {
			return false
		}
	}
	return true
}

// excludes reports whether no request satisfies both c and other. Of two values of
// a field or a parameter a request may have both.
func (c *Conditions) excludes(other *Conditions) bool {
	if len(c.Methods) == 0 || len(other.Methods) == 0 {
		return false
	}
	for _, method := range c.Methods {
		for _, its := range other.Methods {
			if glob(method, its) || glob(its, method) || starCount(method)*starCount(its) > 0 {
				return false
			}
		}
	}
	return true
}
