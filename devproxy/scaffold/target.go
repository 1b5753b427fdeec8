package scaffold

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// targetOf splits a URL of another tool into an upstream and a path. ok is false
// if a Proxyfile cannot express it.
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

// plainHost matches host names. Checking a Proxyfile with any other name would
// fail later, far from the line that has it.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]+)$`)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~@+*-]+)+$|^/$`)

// routePath turns a prefix of another tool into the path of a route; empty if a
// Proxyfile cannot express it. A "*" within a path stays. One at the end means the
// prefix, unless it follows a part of a word, as in "/app_*".
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

// addressTail matches the port at the end of an address or a URL.
var addressTail = regexp.MustCompile(`(?:^|:)(\d{2,5})/?(?:;.*|\?.*)?$`)

// addressPort returns the port of "3000", ":3000", "0.0.0.0:3000",
// "tcp://[::]:3000" and "http://localhost:5000;https://…"; 0 for anything else.
func addressPort(text string) int {
	if m := addressTail.FindStringSubmatch(text); m != nil {
		return portOf(m[1])
	}
	if first, _, several := strings.Cut(text, ";"); several {
		return addressPort(first)
	}
	return 0
}
