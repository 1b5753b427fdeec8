package forward

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/urlfield"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/page"
)

// RequestHeader returns the header and the Host with which in is forwarded to
// m: its end-to-end fields as far as package field allows them, then devproxy's
// fields about the client, then the route's fields. It changes nothing and
// sends nothing. The hop field, by which a running devproxy recognises its own
// requests, is not in it.
func RequestHeader(in *http.Request, x Exchange, m *plan.Member) (header http.Header, host string) {
	client := field.Local
	if x.PublicHost != "" {
		client = field.Visitor
	}
	out := make(http.Header, len(in.Header)+6)
	for name, values := range in.Header {
		if field.Allowed(name, client) {
			out[name] = values
		}
	}
	field.DropNamed(out, in.Header["Connection"])
	field.KeepTE(out, in.Header)
	if protocol := field.Upgrade(in); protocol != "" {
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{protocol}
	}
	if cookies := out["Cookie"]; len(cookies) > 0 {
		if out["Cookie"] = withoutMemberCookies(cookies); len(out["Cookie"]) == 0 {
			delete(out, "Cookie")
		}
	}
	host = requestHost(in, x, m)
	setForwarded(out, in, x)
	setOrigin(out, in, x, m, host)
	applyFields(out, x.Match.Route.RequestHeaders)
	return out, host
}

// requestHost is the Proxyfile's Host, else the client's.
func requestHost(in *http.Request, x Exchange, m *plan.Member) string {
	for _, field := range x.Match.Route.RequestHeaders {
		if field.Name == "Host" && !field.Remove {
			return field.Value
		}
	}
	if host := cmp.Or(m.Authority, in.Host); host != "" {
		return host
	}
	return urlHost(m) // an HTTP/1.0 client may leave it out; the upstream's HTTP/1.1 needs it
}

// applyFields sets and removes the fields that a route names. It leaves out fields
// of the connection and of the body's length, which are not a route's to set.
func applyFields(h http.Header, fields []plan.Header) {
	for _, f := range fields {
		switch {
		case field.IsHopByHop(f.Name), f.Name == "Host", f.Name == "Content-Length":
		case f.Remove:
			delete(h, f.Name)
		default:
			h[f.Name] = []string{f.Value}
		}
	}
}

// responseHeader copies the header of an answer to the client's.
func responseHeader(to, from http.Header, route *plan.Route) {
	field.CopyResponse(to, from)
	applyFields(to, route.ResponseHeaders)
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // keeps net/http from guessing one
	}
}

// setForwarded tells the upstream about the client, in X-Forwarded-* and in the
// field of RFC 7239.
//
// Only field.PublicHost has the public host of a share, unless the route has public_host:
// then in is public. Dev servers check or compare
// the other fields: Rails blocks a host that it does not know, Next refuses a server
// action whose Origin is another, and rack-protection reads Forwarded first. In a
// share Host and Origin are local, and so are these; absolute URLs made from them
// become public on the way out. A visitor of a share never looks local: see
// field.Machine.
func setForwarded(out http.Header, in *http.Request, x Exchange) {
	addr, scheme := x.Visitor, forwardedScheme(x)
	switch {
	case x.PublicHost != "":
		addr = x.Machine.Shown(addr)
		// Apps that read only this field, which nginx sets, would take the peer's.
		out["X-Real-Ip"] = []string{addr.String()}
	case !addr.IsValid():
		addr = remoteAddr(in)
	}
	node := "unknown" // RFC 7239 section 6.2
	if addr.IsValid() {
		addr = addr.Unmap().WithZone("")
		node = addr.String()
		out["X-Forwarded-For"] = []string{node}
		if addr.Is6() {
			node = `"[` + node + `]"`
		}
	}
	forwarded := "for=" + node
	if in.Host != "" {
		out["X-Forwarded-Host"] = []string{in.Host}
		// With the default port too: apps put it into the URLs that they build.
		out["X-Forwarded-Port"] = []string{cmp.Or((&url.URL{Host: in.Host}).Port(), defaultPort(scheme))}
		forwarded += ";host=" + quoted(in.Host)
	}
	if x.PublicHost != "" {
		out[field.PublicHost] = []string{x.PublicHost}
	}
	out["X-Forwarded-Proto"] = []string{scheme}
	out["Forwarded"] = []string{forwarded + ";proto=" + scheme}
	if x.Match.Route.StripPrefix {
		out["X-Forwarded-Prefix"] = []string{x.Match.Prefix()}
	}
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// remoteAddr is the address of the connection; invalid when it has none.
func remoteAddr(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return from.Addr()
}

// quoted is a value of RFC 7239: a token as it is, anything else as a quoted-string
// (a port's colon is enough).
func quoted(value string) string {
	if !strings.ContainsFunc(value, func(c rune) bool { return !httpguts.IsTokenRune(c) }) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// forwardedScheme is the scheme that the upstream is told: the client's, or http
// where the route says so.
func forwardedScheme(x Exchange) string {
	if x.Match.Route.ForwardedHTTP {
		return "http"
	}
	return x.Scheme
}

// setOrigin makes Origin, Referer and similar fields agree with the scheme and the
// Host that the upstream is told. Frameworks compare Origin with those and refuse
// forms from other origins. Only values that name the client's own origin change:
//
//   - With forwarded_proto = "http" the scheme changes.
//   - An upstream elsewhere gets its own Host, and so its own origin.
//
// Any other origin, and "null", is what the browser says about a foreign page. It
// is never changed.
func setOrigin(out http.Header, in *http.Request, x Exchange, m *plan.Member, host string) {
	own := origin{x.Scheme, in.Host}
	sent := origin{forwardedScheme(x), in.Host}
	if isElsewhere(m) {
		sent = origin{"http", host}
		if m.Scheme == plan.SchemeHTTPS && !x.Match.Route.ForwardedHTTP {
			sent.scheme = "https" // as its own pages have it
		}
	}
	if own == sent || in.Host == "" {
		return
	}
	urlfield.Request(out, func(value string) string {
		if rest, ok := own.cut(value); ok && rest == "" {
			return sent.String()
		}
		return value
	}, func(value string) string {
		if rest, ok := own.cut(value); ok {
			return sent.String() + rest
		}
		return value
	})
}

// isElsewhere reports whether m is on another machine.
func isElsewhere(m *plan.Member) bool {
	if m.Network == "unix" || len(m.Addrs) == 0 {
		return false
	}
	_, _, err := net.SplitHostPort(m.Addrs[0])
	return err == nil && !isLoopback(m.Addrs[0]) // names of this machine are addresses by now
}

// isLoopback reports whether addr is an IP address of loopback, with a port.
func isLoopback(addr string) bool {
	at, err := netip.ParseAddrPort(addr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// origin is a scheme and an authority (RFC 6454 section 4).
type origin struct{ scheme, host string }

func (o origin) String() string { return o.scheme + "://" + o.host }

// cut returns the part after the origin in one of its URLs: path, query and
// fragment, unchanged. ok is false for a URL of another origin, and for one
// with userinfo.
func (o origin) cut(text string) (rest string, ok bool) {
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

// sameAuthority compares two authorities of one scheme. The default port may be left
// out.
func sameAuthority(a, b, scheme string) bool {
	first, second := url.URL{Host: a}, url.URL{Host: b}
	usual := defaultPort(scheme)
	return strings.EqualFold(first.Hostname(), second.Hostname()) && cmp.Or(first.Port(), usual) == cmp.Or(second.Port(), usual)
}

// TargetError is a request target that cannot be sent unchanged (400).
type TargetError struct {
	Target string
	Reason string
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("can't forward the request target %q: %s", e.Target, e.Reason)
}

// Page implements page.Error.
func (e *TargetError) Page() page.Page {
	return page.Page{Status: http.StatusBadRequest, Title: "This path can't be forwarded."}
}

// targetURL returns a URL whose RequestURI is path byte for byte, followed by the
// query of r. Scheme and host are the member's, filled in later.
func targetURL(r *http.Request, path string) (*url.URL, error) {
	// HTTP/2 lets a space through, which would end an HTTP/1 target (RFC 9112
	// section 3).
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f {
			return nil, &TargetError{path, "it has a space or a control character"}
		}
	}
	if strings.ContainsRune(r.URL.RawQuery, ' ') {
		return nil, &TargetError{path + "?" + r.URL.RawQuery, "its query has a space"}
	}
	if path == "*" && r.Method != http.MethodOptions || path != "*" && !strings.HasPrefix(path, "/") {
		return nil, &TargetError{path, `it does not begin with "/"`}
	}
	u := &url.URL{RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	decoded, err := url.PathUnescape(path)
	if err == nil && path != "*" {
		u.Path, u.RawPath = decoded, path
		if u.EscapedPath() == path {
			return u, nil
		}
	}
	if strings.HasPrefix(path, "//") {
		// net/http would read the rest as an authority.
		return nil, &TargetError{path, `it begins with "//" and has characters that must be percent-encoded`}
	}
	u.Path, u.RawPath, u.Opaque = "", "", path
	return u, nil
}
