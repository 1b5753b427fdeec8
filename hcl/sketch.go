package hcl

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// sketch is the Proxyfile that says the same as a file of another tool, as far
// as it is simple: names, upstreams and path prefixes.
type sketch struct {
	hosts []*sketchHost
	// partial says that the file has more than the sketch.
	partial bool
	// note is what the person has to know of the sketch; it may be empty.
	note string
}

// sketchHost is a host block. Its upstream is as it is written in a Proxyfile.
type sketchHost struct {
	name, upstream string
	routes         []sketchRoute
}

// sketchRoute is a route block.
type sketchRoute struct {
	path, upstream string
	strip          bool
}

// maxSketch bounds how many hosts, and routes of one, are shown: more of them
// are no longer read in a diagnostic.
const maxSketch = 8

// settle names the hosts without a name, drops those that say nothing, and
// reports whether something is left that loads as a Proxyfile.
func (s *sketch) settle(project string) bool {
	var kept []*sketchHost
	seen := map[string]bool{}
	for _, h := range s.hosts {
		if h.name == "" {
			h.name = project
		}
		if h.upstream == "" && len(h.routes) == 0 {
			continue
		}
		if seen[h.name] || len(kept) == maxSketch || len(h.routes) > maxSketch {
			s.partial = true
			continue
		}
		seen[h.name] = true
		kept = append(kept, h)
	}
	s.hosts = kept
	return len(kept) > 0
}

// route adds a route, once for each path.
func (h *sketchHost) route(r sketchRoute) bool {
	for _, have := range h.routes {
		if have.path == r.path {
			return have == r
		}
	}
	h.routes = append(h.routes, r)
	return true
}

// lines returns the lines of the Proxyfile, formatted.
func (s *sketch) lines() []string {
	var out []string
	for i, h := range s.hosts {
		if i > 0 && len(h.routes)+len(s.hosts[i-1].routes) > 0 {
			out = append(out, "")
		}
		if len(h.routes) == 0 {
			out = append(out, fmt.Sprintf("host %q { upstream = %s }", h.name, h.upstream))
			continue
		}
		out = append(out, fmt.Sprintf("host %q {", h.name))
		if h.upstream != "" {
			out = append(out, "  upstream = "+h.upstream, "")
		}
		for _, r := range h.routes {
			out = append(out, r.lines()...)
		}
		out = append(out, "}")
	}
	return out
}

func (r sketchRoute) lines() []string {
	if !r.strip {
		return []string{fmt.Sprintf("  route %s { upstream = %s }", Quote(r.path), r.upstream)}
	}
	return []string{"  route " + Quote(r.path) + " {", "    upstream     = " + r.upstream, "    strip_prefix = true", "  }"}
}

// hostLike matches what other tools write where a Proxyfile has the name of a
// host: a name of more than one label, with a scheme and a port perhaps.
var hostLike = regexp.MustCompile(`^(?:https?://)?((?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::[0-9]+)?/?$`)

// sketchName returns text as the name of a host; empty if it can not be one. A name
// outside .localhost gets one below it.
func convertName(text string) string {
	m := hostLike.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return ""
	}
	name := strings.ToLower(m[1])
	base, wildcard := strings.CutPrefix(name, "*.")
	if _, err := netip.ParseAddr(base); err == nil || base == "localhost" && wildcard {
		return ""
	}
	if base != "localhost" && !strings.HasSuffix(base, suffix) {
		name = underLocalhost(name)
		base = strings.TrimPrefix(name, "*.")
	}
	if len(name) > maxName {
		return ""
	}
	for label := range strings.SplitSeq(base, ".") {
		if len(label) > maxLabel || !labelPattern.MatchString(label) {
			return ""
		}
	}
	return name
}

// isSiteName reports text that is a name of a site by its form alone: a word
// without a dot is not.
func isSiteName(text string) bool {
	return strings.Contains(text, ".") && convertName(text) != "" && !strings.HasPrefix(text, ".")
}

var bareAddress = regexp.MustCompile(`^(?:([A-Za-z0-9_.-]*|\[[0-9A-Fa-f:]+\]):)?([0-9]+)$`)

// sketchUpstream returns text, an address of another tool, as it is written in a
// Proxyfile, and the path in it. It is empty if a Proxyfile can not have it: a name
// without a dot is one of a container, which this machine does not know.
func sketchUpstream(text string) (written, prefix string) {
	text = strings.TrimSpace(text)
	scheme, host, port := "http", "", ""
	if m := bareAddress.FindStringSubmatch(strings.TrimSuffix(text, "/")); m != nil {
		host, port = strings.Trim(m[1], "[]"), m[2]
	} else {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", ""
		}
		scheme = map[string]string{"http": "http", "https": "https", "ws": "http", "wss": "https", "h2c": "h2c"}[strings.ToLower(u.Scheme)]
		host, port, prefix = u.Hostname(), u.Port(), u.Path
	}
	if n, err := strconv.ParseUint(port, 10, 16); scheme == "" || port != "" && (err != nil || n == 0) {
		return "", ""
	}
	addr, err := netip.ParseAddr(host)
	local := host == "" || strings.EqualFold(host, "localhost") || strings.EqualFold(host, "host.docker.internal") ||
		err == nil && (addr.Unmap().IsLoopback() || addr.IsUnspecified())
	switch {
	case local && scheme == "http" && port == "":
		return "80", prefix
	case local && scheme == "http":
		return port, prefix
	case local:
		host = "localhost"
	case err != nil && (!strings.Contains(host, ".") || !isDialable(host)):
		return "", ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return Quote(scheme + "://" + host), prefix
}

var plainPath = regexp.MustCompile(`^(?:/[A-Za-z0-9._~@+-]+)+$`)

// sketchPath returns the path of a route for a pattern of another tool, "/" for all.
// It is empty if the pattern is not a prefix.
func sketchPath(pattern string) string {
	pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "*"), "/")
	if pattern == "" {
		return "/"
	}
	if !plainPath.MatchString(pattern) || path.Clean(pattern) != pattern {
		return ""
	}
	return pattern
}

// add puts an address for a path into h, and reports whether it fits.
func (h *sketchHost) add(at, address string, strip bool) bool {
	upstream, prefix := sketchUpstream(address)
	return (prefix == "" || prefix == "/") && h.addForm(at, upstream, strip)
}

// addForm is add for an upstream as it is written in a Proxyfile.
func (h *sketchHost) addForm(at, upstream string, strip bool) bool {
	switch {
	case upstream == "" || at == "":
		return false
	case at == "/" && (h.upstream == "" || h.upstream == upstream):
		h.upstream = upstream
		return true
	case at == "/":
		return false
	}
	return h.route(sketchRoute{path: at, upstream: upstream, strip: strip})
}
