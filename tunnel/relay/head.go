package relay

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/field"
)

// authority is the host that a request was sent to.
type authority struct {
	name string // lower case, without final dot or port
	full string // with the port, unless it is the scheme's default
}

// readAuthority reads the Host of a request (RFC 9110 section 7.2). It reports
// false when that cannot be a name of the relay.
func readAuthority(host, scheme string) (authority, bool) {
	name, port, hasPort := strings.Cut(lowerASCII(host), ":")
	name = strings.TrimSuffix(name, ".")
	full := name
	if hasPort && port != "" && port != defaultPort(scheme) {
		full += ":" + port
	}
	a := authority{name, full}
	_, err := tunnel.ParseVisitor(a.head(scheme, netip.AddrPort{}))
	return a, err == nil
}

// head returns the head of a stream for a request to a.
func (a authority) head(scheme string, from netip.AddrPort) []byte {
	return tunnel.Visitor{Addr: from, Scheme: scheme, Host: a.full}.AppendTo(nil)
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// below reports whether name is a subdomain of domain.
func below(name, domain string) bool { return strings.HasSuffix(name, "."+domain) }

// lowerASCII leaves other letters unchanged: strings.ToLower would turn the
// Kelvin sign into a k, and so one name into another.
func lowerASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// target returns the request target in origin-form, byte for byte as it came
// (RFC 9112 section 3.2.1).
func target(r *http.Request) string {
	raw := r.RequestURI
	if raw == "*" || strings.HasPrefix(raw, "/") {
		return raw
	}
	// Absolute-form: what follows the authority.
	_, rest, _ := strings.Cut(raw, "://")
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		return "/" + strings.TrimPrefix(rest[at:], "/")
	}
	return "/"
}

// requestFields returns the fields of r that go to the agent, as package field
// allows them. The caller adds the framing of the body and an upgrade.
func requestFields(r *http.Request) http.Header {
	out := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		switch name {
		case "Content-Length", "Host": // HTTP/2 may have a Host too; only :authority counts
		case field.Hop: // with which the agent detects a loop through the relay
			out[name] = values
		default:
			if field.Allowed(name, field.Visitor) {
				out[name] = values
			}
		}
	}
	field.DropNamed(out, r.Header["Connection"])
	field.KeepTE(out, r.Header)
	return out
}

// dropWideCookies removes from h the cookies that a share sets for other hosts
// too: other shares of the relay would get them. zone is the share's own parent;
// when it is empty, the share has only host.
func dropWideCookies(h http.Header, zone, host string) {
	kept := slices.DeleteFunc(slices.Clone(h["Set-Cookie"]), func(cookie string) bool {
		return isWide(cookie, zone, host)
	})
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
	} else {
		h["Set-Cookie"] = kept
	}
}

// isWide checks every Domain attribute (RFC 6265 section 5.2.3), although only the
// last one counts. A cookie with an odd one is wide, whatever browsers do with it.
func isWide(cookie, zone, host string) bool {
	_, attributes, _ := strings.Cut(cookie, ";")
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, value, _ := strings.Cut(attribute, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "domain") {
			continue
		}
		value = lowerASCII(strings.TrimSpace(value))
		domain := strings.TrimPrefix(value, ".")
		switch {
		case value == "": // browsers ignore it: the cookie is the host's own
		case domain == host:
		case zone != "" && (domain == zone || below(domain, zone)):
		default:
			return true
		}
	}
	return false
}
