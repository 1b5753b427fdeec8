package advice

import "strings"

// cookie is what advice asks of a Set-Cookie field.
type cookie struct {
	name         string // empty for a lone value
	length       int    // of name and value together, in bytes
	domain       string // in lower case, without the leading dot; empty for none
	path         string // as written; empty for none
	secure       bool
	sameSiteNone bool
}

// parseCookie reads a Set-Cookie field as browsers do (RFC 6265bis section 5.6).
// http.ParseSetCookie is stricter: it refuses names like "user[id]" and values
// like {"a":1}, which browsers take. Nothing is an error.
func parseCookie(line string) cookie {
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, named := strings.Cut(pair, "=")
	if !named {
		name, value = "", pair
	}
	name, value = trim(name), trim(value)
	c := cookie{name: name, length: len(name) + len(value)}
	for attribute := range strings.SplitSeq(attributes, ";") {
		key, value, _ := strings.Cut(attribute, "=")
		c.set(strings.ToLower(trim(key)), trim(value))
	}
	return c
}

// set takes an attribute; of several the last one counts.
func (c *cookie) set(key, value string) {
	switch key {
	case "domain":
		c.domain = strings.ToLower(strings.TrimPrefix(value, "."))
	case "path":
		c.path = value
	case "secure":
		c.secure = true
	case "samesite":
		c.sameSiteNone = strings.EqualFold(value, "none")
	}
}

// hasPrefix reports whether the name begins with prefix in any case: browsers
// look at "__host-" too, since servers may.
func (c *cookie) hasPrefix(prefix string) bool {
	return len(c.name) >= len(prefix) && strings.EqualFold(c.name[:len(prefix)], prefix)
}

func trim(s string) string { return strings.Trim(s, " \t") }
