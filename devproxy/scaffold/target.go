package scaffold

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// targetOf is a URL of another tool as an upstream and the path in it; not ok
// when it is none that a Proxyfile can say.
func targetOf(text string) (upstream, prefix string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", "", false
	}
	scheme := map[string]string{"http": "http", "ws": "http", "https": "https", "wss": "https"}[u.Scheme]
	port := u.Port()
	if scheme == "" || port != "" && portOf(port) == 0 || !plainHost.MatchString(u.Hostname()) {
		return "", "", false
	}
	prefix = strings.TrimSuffix(u.Path, "/")
	switch {
	case scheme == "http" && loopback(u.Hostname()):
		if port == "" {
			port = "80"
		}
		return port, prefix, true
	case port != "":
		return scheme + "://" + net.JoinHostPort(u.Hostname(), port), prefix, true
	case strings.Contains(u.Hostname(), ":"):
		return scheme + "://[" + u.Hostname() + "]", prefix, true
	}
	return scheme + "://" + u.Hostname(), prefix, true
}

// A label that is not a name would only be refused later, away from its line.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]+)$`)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~@+*-]+)+$|^/$`)

// routePath is a prefix of another tool as the path of a route; empty when a
// Proxyfile cannot say it. A "*" within a path stays; one at the end is the
// prefix, except after a part of a word, as in "/app_*".
func routePath(text string) string {
	if rest, star := strings.CutSuffix(text, "*"); star && !strings.HasSuffix(rest, "_") && !strings.HasSuffix(rest, "-") {
		text = rest
	}
	if text != "/" {
		text = strings.TrimSuffix(text, "/")
	}
	if !plainPath.MatchString(text) || path.Clean(text) != text {
		return ""
	}
	return text
}
