package relay

import (
	"net/http"
	"slices"
	"strings"
)

// dropWideCookies removes from h the cookies that a share sets for more than
// itself: other shares of the relay would get them. zone is the share's own
// parent; when it is empty, host is all that it has.
func dropWideCookies(h http.Header, zone, host string) {
	kept := slices.DeleteFunc(slices.Clone(h["Set-Cookie"]), func(cookie string) bool {
		return isWide(cookie, zone, host)
	})
	switch len(kept) {
	case len(h["Set-Cookie"]):
	case 0:
		delete(h, "Set-Cookie")
	default:
		h["Set-Cookie"] = kept
	}
}

// isWide looks at every Domain attribute (RFC 6265 section 5.2.3), though the
// last alone counts. Whatever a browser might make of an odd one, it is wide.
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
		case value == "": // ignored by browsers: the cookie is the host's own
		case domain == host:
		case zone != "" && (domain == zone || below(domain, zone)):
		default:
			return true
		}
	}
	return false
}
