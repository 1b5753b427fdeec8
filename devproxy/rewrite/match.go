package rewrite

import (
	"bytes"
	"strings"
)

// match is a URL that is replaced: its scheme's colon, its slashes and its
// authority.
type match struct {
	start, end    int // of the colon and the authority
	host          int // where the authority begins
	scheme, colon string
	slash         string // as it is written
	to            Target
}

// append appends what replaces m.
func (m *match) append(out, b []byte) []byte {
	if m.scheme == "http" || m.scheme == "ws" {
		out = append(out, 's')
	}
	out = append(out, b[m.start:m.host]...)
	out = append(out, strings.Replace(m.to.Authority, ":", m.colon, 1)...)
	return append(out, strings.ReplaceAll(m.to.Path, "/", m.slash)...)
}

// match reads the URL whose slashes begin at b[at]; preceding is what precedes them. If
// it is undecided, only start is set: from there on the text has to be held back.
func (n *Names) match(b []byte, at int, preceding []byte, end bool) (m match, result cut) {
	m.start = at
	scheme, colon, ok := before(preceding)
	if !ok {
		return m, no
	}
	m.scheme, m.start = scheme, max(at-(len(preceding)-colon), 0)
	spelled, result := slashes(b[at:])
	if result != yes {
		return m, undecided(result, end)
	}
	m.host = at + 2*len(spelled.slash)
	a, result := authorityAt(b[m.host:])
	if result == more && end {
		a, result = authorityAt(append(b[m.host:len(b):len(b)], 0)) // nothing can follow
	}
	if result != yes || !n.has(b[m.host:m.host+a.host]) {
		return m, atMost(result)
	}
	m.slash, m.colon = string(b[at:at+len(spelled.slash)]), spelled.colon
	m.end = m.host + a.end
	port := ""
	if a.colon != "" {
		m.colon, port = a.colon, string(b[m.host+a.port:m.end])
	}
	name := asciiLower(b[m.host : m.host+a.host])
	if m.to, ok = n.Replace(m.scheme, name, port); !ok {
		return m, no
	}
	return m, yes
}

// isOther reports whether b begins with two plain slashes and a host that is not
// replaced. Most URLs are such; this is the quick way past them.
func (n *Names) isOther(b []byte) bool {
	if len(b) < 2 || b[0] != '/' || b[1] != '/' {
		return false
	}
	end := 2
	for end < len(b) && hostBytes[b[end]] {
		end++
	}
	switch {
	case end == len(b), end > maxHost, b[end-1] == '.':
		return false
	case end == 2:
		return b[2] != '['
	}
	return !n.has(b[2:end])
}

// atMost returns no in place of yes.
func atMost(result cut) cut {
	if result == yes {
		return no
	}
	return result
}

// has reports whether a host may be replaced. Most are not, and for these nothing
// is allocated.
func (n *Names) has(host []byte) bool {
	var label [maxHost + 1]byte
	last := host[bytes.LastIndexByte(host, '.')+1:]
	for i, c := range last {
		label[i] = lower(c)
	}
	return n.Ends[string(label[:len(last)])]
}

func asciiLower(b []byte) string {
	name := bytes.Clone(b)
	for i, c := range name {
		name[i] = lower(c)
	}
	return string(name)
}

func undecided(result cut, end bool) cut {
	if end {
		return no
	}
	return result
}

// authority is where the parts of an authority end, from its beginning.
type authority struct {
	host  int    // without trailing dots
	port  int    // where it begins, if there is one
	end   int    // of all of it
	colon string // before the port, as it is written; empty for none
}

// authorityAt reads the authority at the beginning of b: a host, perhaps a port,
// and after it something that ends it. A host that continues in any other way
// is another host.
func authorityAt(b []byte) (a authority, result cut) {
	all := hostLength(b)
	switch {
	case all > maxHost:
		return a, no
	case all == len(b):
		return a, more
	}
	for a.host = all; a.host > 0 && b[a.host-1] == '.'; {
		a.host--
	}
	if a.host == 0 {
		return a, no
	}
	follows, colon, result := after(b[all:])
	if result != yes {
		return a, result
	}
	// A dot before a path or a port belongs to the name (RFC 3986 section 3.2.2);
	// any other ends a sentence.
	a.end = a.host
	if all == a.host+1 && (follows == '/' || follows == ':') {
		a.end = all
	}
	if follows != ':' {
		return a, yes
	}
	if a.end != all {
		return a, no
	}
	a.port = all + len(colon)
	a.end = a.port
	for a.end < len(b) && isDigit(b[a.end]) {
		a.end++
	}
	switch digits := a.end - a.port; {
	case digits > maxPort:
		return a, no
	case a.end == len(b):
		return a, more
	case digits == 0:
		// A colon before a space ends a part of a sentence. Any other may have a
		// port after it that a script puts there.
		a.port, a.end = 0, a.host
		if bytes.IndexByte([]byte(" \t\r\n<\x00"), b[all+len(colon)]) < 0 {
			return a, no
		}
		return a, yes
	}
	follows, _, result = after(b[a.end:])
	if result == yes && (follows == ':' || isHost(follows) && follows != '.') {
		return a, no
	}
	a.colon = colon
	return a, result
}

// hostLength returns the length of the host at the beginning of b. An IPv6
// address is in brackets.
func hostLength(b []byte) int {
	n := 0
	if len(b) > 0 && b[0] == '[' {
		for n = 1; n < len(b) && (isHost(b[n]) || b[n] == ':') && n <= maxHost; {
			n++
		}
		if n < len(b) && b[n] == ']' {
			return n + 1
		}
		if n < len(b) {
			return 0
		}
		return n
	}
	for n < len(b) && isHost(b[n]) && n <= maxHost {
		n++
	}
	return n
}

// after returns what follows a host or a port: the character, decoded, and the
// spelling of a colon. Where another authority continues, the result is no.
func after(b []byte) (follows byte, colon string, result cut) {
	if len(b) == 0 {
		return 0, "", more
	}
	follows = b[0]
	colon = string(b[:1])
	if follows == '%' {
		escape := b
		if hasFold(b, "%25") == yes {
			escape = b[2:]
		}
		if len(escape) < 3 {
			if len(escape) < 2 || hexDigit(escape[1]) >= 0 {
				return 0, "", more
			}
			return '%', "", yes
		}
		high, low := hexDigit(escape[1]), hexDigit(escape[2])
		if high < 0 || low < 0 {
			return '%', "", yes
		}
		follows = byte(high<<4 | low)
		colon = string(b[:len(b)-len(escape)+3])
		if isHost(follows) {
			return follows, "", no
		}
	}
	switch {
	case follows >= 0x80, follows == '@':
		return follows, "", no
	}
	return follows, colon, yes
}

// hexDigit returns the value of a digit; -1 for any other byte.
func hexDigit(c byte) int {
	switch c = lower(c); {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
