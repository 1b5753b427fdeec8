package advice

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/urlfield"
)

// Outside translates an upstream's URLs to those that the browser uses.
type Outside struct {
	Route    *plan.Route
	Upstream *plan.Upstream
	// Prefix is the beginning of the request's path: plan.Match.Prefix. Empty
	// means the route's path.
	Prefix string
	// Origin is the one that the browser requested: "https://shop.localhost:8443".
	Origin string
	// Page is the origin of the page that sent the request, if its browser says so.
	Page string
	// Relocation is where the hosts have moved in a linked worktree; nil if they have
	// not.
	Relocation *plan.Relocation
	// Cookie are the request's Cookie lines.
	Cookie []string
}

// Header rewrites the fields of an upstream's response that contain URLs, so that
// the browser stays at devproxy: those of package urlfield, and Set-Cookie, see
// cookie.
func (o Outside) Header(h http.Header) {
	o.urls().Header(h)
	o.Cookies(h)
}

// Cookies is Header for Set-Cookie alone, which a response that switches protocols
// may have.
func (o Outside) Cookies(h http.Header) {
	var lines []string // a new slice: a cache may have the old one
	for _, line := range h["Set-Cookie"] {
		lines = append(lines, o.ownCookies(o.cookie(line))...)
	}
	if len(lines) > 0 {
		h["Set-Cookie"] = lines
	}
}

// Informational is Header for an informational response (RFC 9110 section 15.2),
// of which browsers read only Link.
func (o Outside) Informational(h http.Header) {
	o.urls().Link(h)
}

func (o Outside) urls() *urlfield.Rewriter {
	return &urlfield.Rewriter{URL: o.Reference, Origin: o.origin, Source: o.source}
}

// origin rewrites an origin that is allowed to read the response. That of the page that
// sent the request stays: the browser compares with it.
func (o Outside) origin(value string) string {
	if value != o.Page {
		value = o.moved(value)
	}
	u, err := url.Parse(value)
	if value == o.Page || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RequestURI() != "/" || !o.isOrigin(u) && !o.isUpstream(u) {
		return value
	}
	return o.Origin
}

// source rewrites a source of a Content-Security-Policy. One at Origin's authority gets
// Origin's scheme; one at the upstream's own stays, since the page may
// connect there on purpose.
func (o Outside) source(value string) string {
	value = o.movedSource(value)
	scheme, rest, _ := strings.Cut(value, "://")
	secure := map[string]string{"http": "https", "ws": "wss"}[strings.ToLower(scheme)]
	if secure == "" || !strings.HasPrefix(o.Origin, "https:") {
		return value
	}
	path, tail := afterAuthority(value)
	authority, anyPort := strings.CutSuffix(strings.TrimSuffix(rest, path+tail), ":*")
	u := url.URL{Scheme: "http", Host: authority}
	own := o.Origin[len("https:"):]
	switch {
	case anyPort && sameHost(u.Hostname(), hostOf(strings.TrimPrefix(own, "//"))):
		return secure + "://" + rest
	case !anyPort && o.isOrigin(&u):
		return secure + ":" + own + path + tail
	}
	return value
}

// Reference rewrites a URL reference of the upstream for the browser:
//
//   - A URL at the upstream's own authority (its address, or the Host that it is
//     sent) leads to Origin: a dev server that makes absolute URLs of its own port
//     or name would send the browser past devproxy.
//   - A URL at Origin's authority gets Origin's scheme: apps build it from Host,
//     and use plain HTTP themselves.
//   - In both, and in a path alone, what the route has removed from the path is put
//     back. A path that has the route's prefix already stays, unless it is at the
//     upstream's authority: the app knows the prefix from X-Forwarded-Prefix or its
//     settings.
//
// In a linked worktree, a URL of a host as the Proxyfile has it leads to where that has
// moved. Anything else stays unchanged, byte for byte.
func (o Outside) Reference(value string) string {
	if strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") {
		if strings.HasPrefix(value, `/\`) {
			return value // browsers read "//", an authority
		}
		path, rest := cutPath(value)
		return o.path(path, false) + rest
	}
	value = o.moved(value)
	absolute := value
	if strings.HasPrefix(value, "//") {
		scheme, _, _ := strings.Cut(o.Origin, "://")
		absolute = scheme + ":" + value // RFC 3986 section 4.2
	}
	u, err := url.Parse(absolute)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil || u.Host == "" {
		return value
	}
	path, rest := afterAuthority(absolute)
	isOrigin := o.isOrigin(u)
	switch {
	case isOrigin && (u.Scheme == "https" || strings.HasPrefix(value, "//")):
		return value[:len(value)-len(path)-len(rest)] + o.path(path, false) + rest
	case isOrigin, o.isUpstream(u):
		return o.Origin + o.path(path, !isOrigin) + rest
	}
	return value
}

// isOrigin reports whether u is at Origin's authority, as written by an app that
// knows only the authority: without a port where Origin has none.
func (o Outside) isOrigin(u *url.URL) bool {
	scheme, authority, _ := strings.Cut(o.Origin, "://")
	host, port := splitAuthority(authority)
	own := u.Port()
	if port == "" && (own == defaultPort(scheme) || own == defaultPort(u.Scheme)) {
		own = ""
	}
	return own == port && sameHost(u.Hostname(), host)
}

// isUpstream reports whether u is at an address of the upstream.
func (o Outside) isUpstream(u *url.URL) bool {
	return o.anyMember(func(m plan.Member) bool { return isAt(m, u) })
}

func (o Outside) anyMember(is func(plan.Member) bool) bool {
	return slices.ContainsFunc(o.Upstream.Members, is) || slices.ContainsFunc(o.Upstream.Fallback, is)
}

// path returns the path on which a client reaches the upstream's path. inside is true
// when path is certainly the upstream's own.
func (o Outside) path(path string, inside bool) string {
	route := o.Route
	if route.Exact || !strings.HasPrefix(path, "/") && path != "" {
		return path
	}
	before, atEnd := strings.CutSuffix(route.Rewrite, "{rest}")
	if route.Rewrite == "" && !route.StripPrefix || route.Rewrite != "" && (!atEnd || strings.Contains(before, "{rest}")) {
		return path
	}
	before = strings.TrimSuffix(before, "/") // "/v1/{rest}" means "/v1{rest}"
	prefix := strings.TrimSuffix(cmp.Or(o.Prefix, route.Path), "/")
	rest, ok := below(path, before)
	if !ok {
		return path
	}
	if _, known := below(path, prefix); known && before == "" && !inside {
		return path
	}
	return prefix + rest
}

// below returns the rest of path after prefix, whole segments only.
func below(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// afterAuthority returns the path of an absolute URL and the rest of it, both
// as they came: url.URL normalizes them.
func afterAuthority(value string) (path, rest string) {
	_, value, _ = strings.Cut(value, "://")
	start := strings.IndexAny(value, "/?#")
	if start < 0 {
		return "", ""
	}
	return cutPath(value[start:])
}

// cutPath cuts query and fragment off a path.
func cutPath(path string) (before, rest string) {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

// isAt reports whether u is at m's address, or at the authority in requests to m.
// All names of this machine are equal.
func isAt(m plan.Member, u *url.URL) bool {
	port := portOrDefault(u)
	for _, addr := range m.Addrs {
		host, its, err := net.SplitHostPort(addr)
		if m.Network != "unix" && err == nil && its == port && (sameHost(host, u.Hostname()) || isLoopback(host) && isLoopback(u.Hostname()) || m.Authority != "" && sameHost(hostOf(m.Authority), u.Hostname())) {
			return true
		}
	}
	host, its := splitAuthority(m.Authority)
	return host != "" && sameHost(host, u.Hostname()) && (its == port || its == "" && u.Port() == "")
}

func hostOf(authority string) string {
	host, _ := splitAuthority(authority)
	return host
}

// splitAuthority returns the host without brackets, and its port or "".
func splitAuthority(authority string) (host, port string) {
	u := url.URL{Host: authority}
	return u.Hostname(), u.Port()
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// portOrDefault is the port of u, or the default one of its scheme.
func portOrDefault(u *url.URL) string { return cmp.Or(u.Port(), defaultPort(u.Scheme)) }

// sameHost compares names without regard to case and a final dot, and addresses
// by their value.
func sameHost(a, b string) bool {
	a, b = strings.TrimSuffix(a, "."), strings.TrimSuffix(b, ".")
	if strings.EqualFold(a, b) {
		return a != ""
	}
	first, err := netip.ParseAddr(a)
	second, otherErr := netip.ParseAddr(b)
	return err == nil && otherErr == nil && first.Unmap() == second.Unmap()
}
