package advice

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// Location is a Location field (RFC 9110 section 10.2.2) that leads to the
// address of an upstream on this machine, leading to origin instead
// ("https://shop.localhost"): a dev server that makes absolute URLs of its own
// port would send the browser past devproxy. Anything else stays as it is. What
// the route has taken off the path is put back.
func Location(value string, route *plan.Route, upstream *plan.Upstream, origin string) string {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.User != nil || !isLoopback(u.Hostname()) {
		return value
	}
	if !slices.ContainsFunc(upstream.Members, func(m plan.Member) bool { return listensOn(m, u) }) {
		return value
	}
	path, rest := afterAuthority(value)
	return origin + outside(path, route) + rest
}

// afterAuthority is the path of an absolute URL, and what follows it, both as
// they came: url.URL has them in its own spelling.
func afterAuthority(value string) (path, rest string) {
	_, value, _ = strings.Cut(value, "://")
	start := strings.IndexAny(value, "/?#")
	if start < 0 {
		return "", ""
	}
	path = value[start:]
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

// listensOn reports whether u's port is one of m's on this machine.
func listensOn(m plan.Member, u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return slices.ContainsFunc(m.Addrs, func(addr string) bool {
		host, its, err := net.SplitHostPort(addr)
		return err == nil && its == port && isLoopback(host)
	})
}

// outside is the path on which a visitor reaches the upstream's.
func outside(path string, route *plan.Route) string {
	switch {
	case route.StripPrefix && route.Path != "/":
		return route.Path + path
	case route.Rewrite != "":
		before, after, found := strings.Cut(route.Rewrite, "{rest}")
		before = strings.TrimSuffix(before, "/") // "/v1/{rest}" means "/v1{rest}"
		if rest, ok := strings.CutPrefix(path, before); ok && found && after == "" && (rest == "" || rest[0] == '/') {
			return strings.TrimSuffix(route.Path, "/") + rest
		}
	}
	return path
}
