package forward

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/urlfield"
)

// toldScheme is the scheme that the upstream is told: the visitor's, or http where
// the route says so.
func toldScheme(x Exchange) string {
	if x.Match.Route.ForwardedHTTP {
		return "http"
	}
	return x.Scheme
}

// setOrigin makes Origin, Referer and their like agree with the scheme and the
// Host that the upstream is told. Frameworks compare Origin with those, and refuse
// the forms of other origins. Only what names the visitor's own origin changes:
//
//   - With forwarded_proto = "http" its scheme does.
//   - An upstream elsewhere gets its own Host, and so its own origin.
//
// Any other origin, and "null", is the browser's word about a foreign page. It is
// never touched.
func setOrigin(out http.Header, in *http.Request, x Exchange, m *plan.Member, host string) {
	own := origin{x.Scheme, in.Host}
	told := origin{toldScheme(x), in.Host}
	if isElsewhere(m) {
		told = origin{ownScheme(x, m), host}
	}
	if own == told || in.Host == "" {
		return
	}
	urlfield.Request(out, func(value string) string {
		if rest, is := own.cut(value); is && rest == "" {
			return told.String()
		}
		return value
	}, func(value string) string {
		if rest, is := own.cut(value); is {
			return told.String() + rest
		}
		return value
	})
}

// ownScheme is the scheme of an upstream elsewhere, as its own pages have it.
func ownScheme(x Exchange, m *plan.Member) string {
	if m.Scheme == plan.SchemeHTTPS && !x.Match.Route.ForwardedHTTP {
		return "https"
	}
	return "http"
}

// isElsewhere reports whether m is not of this machine.
func isElsewhere(m *plan.Member) bool {
	if m.Network == "unix" || len(m.Addrs) == 0 {
		return false
	}
	host, _, err := net.SplitHostPort(m.Addrs[0])
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host) // names of this machine are addresses by now
	return err != nil || !addr.Unmap().IsLoopback()
}

// origin is a scheme and an authority (RFC 6454 section 4).
type origin struct{ scheme, host string }

func (o origin) String() string { return o.scheme + "://" + o.host }

// cut is what follows the origin in a URL of it: path, query and fragment, as they
// came. is is false for a URL of another origin, and for one with userinfo.
func (o origin) cut(text string) (rest string, is bool) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !strings.EqualFold(scheme, o.scheme) {
		return "", false
	}
	end := strings.IndexAny(rest, `/?#\`)
	if end < 0 {
		end = len(rest)
	}
	return rest[end:], sameAuthority(rest[:end], o.host, o.scheme)
}

// sameAuthority compares two authorities of one scheme: a port that goes without
// saying may be left out.
func sameAuthority(a, b, scheme string) bool {
	first, second := url.URL{Host: a}, url.URL{Host: b}
	usual := "80"
	if scheme == "https" {
		usual = "443"
	}
	return strings.EqualFold(first.Hostname(), second.Hostname()) && cmp.Or(first.Port(), usual) == cmp.Or(second.Port(), usual)
}
