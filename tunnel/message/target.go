package message

import (
	"bytes"
	"net/netip"
)

// span is a part of the head, as offsets: the head may move in memory while more of it
// arrives.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// checkTarget checks a request target (RFC 9112 §3.2). It returns the authority of one in
// absolute form, as a span of the target.
//
// Characters that RFC 3986 requires to be encoded but browsers send as they are ("|" in a
// query) pass: all servers read them in the same way. A backslash in the path does not,
// since some read it as a slash.
func checkTarget(method, target []byte) (authority span, refusal *Refusal) {
	for _, c := range target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return span{}, badTargetByte(c)
		}
	}
	switch {
	case len(target) == 0:
		return span{}, refuse(400, "9112 §3", "the request target is empty")
	case target[0] == '/':
		return span{}, checkPath(target)
	case string(target) == "*" && string(method) == "OPTIONS":
		// It asks for the abilities of a whole server, which a proxy of many hosts does
		// not have.
		return span{}, refuse(501, "9110 §9.3.7", "OPTIONS * names no host; use a path")
	case string(target) == "*":
		return span{}, refuse(400, "9112 §3.2.4", "the target * is only for OPTIONS")
	}
	return checkAbsolute(target)
}

func badTargetByte(c byte) *Refusal {
	switch {
	case c == '#':
		return refuse(400, "9112 §3.2", "the request target has a fragment")
	case c == '\r':
		return refuse(400, "9112 §2.2", "a CR is not followed by LF")
	case c >= 0x80:
		return refuse(400, "3986 §2", "the request target has a character outside ASCII")
	}
	return refuse(400, "9112 §3.2", "the request target has a control character")
}

// checkAbsolute checks http://HOST/PATH. It passes if Host agrees with it (noteHost checks
// that), so that the request has one authority.
func checkAbsolute(target []byte) (span, *Refusal) {
	scheme, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return span{}, refuse(400, "9112 §3.2", "the request target is neither a path nor an http URL")
	}
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if refusal := checkAuthority(rest[:end]); refusal != nil {
		return span{}, refusal
	}
	from := len(target) - len(rest)
	return span{from, from + end}, checkPath(rest[end:])
}

// checkPath checks the part before the query: no backslash, and percent signs
// only before two hexadecimal digits.
func checkPath(target []byte) *Refusal {
	path, _, _ := bytes.Cut(target, []byte("?"))
	for i, c := range path {
		if c == '\\' {
			return refuse(400, "3986 §3.3", "the path has a backslash")
		}
		if c == '%' && (i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2])) {
			return refuse(400, "3986 §2.1", "the path has a percent sign that encodes nothing")
		}
	}
	return nil
}

// checkAuthority checks a Host field or an authority: a name, an IPv4 address or an IPv6
// address in brackets, with a port, an empty one (RFC 3986 §3.2.3) or none. What RFC 3986
// also allows does not name a machine.
func checkAuthority(b []byte) *Refusal {
	host, port := b, []byte(nil)
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && b[len(b)-1] != ']' {
		host, port = b[:i], b[i+1:]
		if len(port) > 0 && !isPort(port) {
			return refuse(400, "9110 §4.2", "the host's port is not a number from 1 to 65535")
		}
	}
	switch {
	case len(host) == 0:
		return refuse(400, "9110 §4.2.1", "the host is empty")
	case bytes.IndexByte(host, '@') >= 0:
		return refuse(400, "9110 §4.2.4", "the host has a user name")
	case host[0] == '[':
		return checkIPv6(host)
	}
	for _, c := range host {
		if !in(hostNameLow, hostNameHigh, c) {
			return refuse(400, "9112 §3.2", "the host has a character that is not allowed")
		}
	}
	return nil
}

// withoutEmptyPort is "a" for the authority "a:", which means the same (RFC 3986 §6.2.3).
func withoutEmptyPort(authority []byte) []byte {
	return bytes.TrimSuffix(authority, []byte(":"))
}

func checkIPv6(host []byte) *Refusal {
	if host[len(host)-1] == ']' {
		ip, err := netip.ParseAddr(string(host[1 : len(host)-1]))
		if err == nil && ip.Is6() && ip.Zone() == "" {
			return nil
		}
	}
	return refuse(400, "3986 §3.2.2", "the host is not an IPv6 address in brackets")
}

func isPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if n = n*10 + int(c-'0'); !isDigit(c) || n > 65535 {
			return false
		}
	}
	return n > 0
}
