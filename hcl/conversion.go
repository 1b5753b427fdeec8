package hcl

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// conversion is the Proxyfile that means the same as a file of another tool, as
// far as that is simple: names, upstreams and path prefixes.
type conversion struct {
	hosts []*convertedHost
	// partial is true if the file has more than the conversion.
	partial bool
	// note is what people need to know about the conversion; it may be empty.
	note string
}

// convertedHost is a host block. Its upstream is in the form of a Proxyfile.
type convertedHost struct {
	name, upstream string
	routes         []convertedRoute
}

type convertedRoute struct {
	path, upstream string
	strip          bool
}

// maxConverted bounds how many hosts, and routes of one host, are shown. More of
// them are too long for a diagnostic.
const maxConverted = 8

func (c *conversion) addHost(name string) *convertedHost {
	h := &convertedHost{name: name}
	c.hosts = append(c.hosts, h)
	return h
}

// add puts an address for a path into h, and reports whether it fits.
func (h *convertedHost) add(at, address string, strip bool) bool {
	upstream, prefix := convertUpstream(address)
	return (prefix == "" || prefix == "/") && h.addUpstream(at, upstream, strip)
}

// addUpstream is add for an upstream in the form of a Proxyfile.
func (h *convertedHost) addUpstream(at, upstream string, strip bool) bool {
	switch {
	case upstream == "" || at == "":
		return false
	case at == "/":
		h.upstream = cmp.Or(h.upstream, upstream)
		return h.upstream == upstream
	}
	route := convertedRoute{path: at, upstream: upstream, strip: strip}
	for _, other := range h.routes {
		if other.path == at {
			return other == route
		}
	}
	h.routes = append(h.routes, route)
	return true
}

// finish names the hosts without a name and removes those without an answer. It
// reports whether the rest is a valid Proxyfile.
func (c *conversion) finish(project string) bool {
	var kept []*convertedHost
	seen := map[string]bool{}
	for _, h := range c.hosts {
		h.name = cmp.Or(h.name, project)
		if h.upstream == "" && len(h.routes) == 0 {
			continue
		}
		if seen[h.name] || len(kept) == maxConverted || len(h.routes) > maxConverted {
			c.partial = true
			continue
		}
		seen[h.name] = true
		kept = append(kept, h)
	}
	c.hosts = kept
	return len(kept) > 0
}

// lines returns the lines of the Proxyfile, formatted.
func (c *conversion) lines() []string {
	var out []string
	for i, h := range c.hosts {
		if i > 0 && len(h.routes)+len(c.hosts[i-1].routes) > 0 {
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

func (r convertedRoute) lines() []string {
	if !r.strip {
		return []string{fmt.Sprintf("  route %s { upstream = %s }", Quote(r.path), r.upstream)}
	}
	return []string{"  route " + Quote(r.path) + " {", "    upstream     = " + r.upstream, "    strip_prefix = true", "  }"}
}

var (
	// hostLike matches a host name as other tools write it, perhaps with a scheme
	// and a port.
	hostLike    = regexp.MustCompile(`^(?:https?://)?((?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::[0-9]+)?/?$`)
	bareAddress = regexp.MustCompile(`^(?:([A-Za-z0-9_.-]*|\[[0-9A-Fa-f:]+\]):)?([0-9]+)$`)
	plainPath   = regexp.MustCompile(`^(?:/[A-Za-z0-9._~@+-]+)+$`)
)

// convertName returns text as the name of a host, or "" if it can't be one. A name
// outside .localhost gets a name below it.
func convertName(text string) string {
	m := hostLike.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return ""
	}
	name := strings.ToLower(m[1])
	base, wildcard := strings.CutPrefix(name, "*.")
	if isIP(base) || base == "localhost" && wildcard {
		return ""
	}
	if base != "localhost" && !strings.HasSuffix(base, suffix) {
		name = underLocalhost(name)
		base = strings.TrimPrefix(name, "*.")
	}
	invalid := func(label string) bool { return len(label) > maxLabel || !labelPattern.MatchString(label) }
	if len(name) > maxName || slices.ContainsFunc(strings.Split(base, "."), invalid) {
		return ""
	}
	return name
}

// isSiteName reports text that has the form of a site's name. A word without a dot
// does not.
func isSiteName(text string) bool {
	return strings.Contains(text, ".") && convertName(text) != "" && !strings.HasPrefix(text, ".")
}

// convertUpstream returns an address of another tool in the form of a Proxyfile,
// and the path in it. It returns "" if a Proxyfile can't have the address. A name
// without a dot is that of a container, which this machine can't resolve.
func convertUpstream(text string) (upstream, prefix string) {
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
	local := isPlainLoopback(host) || strings.EqualFold(host, "host.docker.internal") || err == nil && addr.IsUnspecified()
	switch {
	case local && scheme == "http":
		return cmp.Or(port, "80"), prefix
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

// convertPath returns the path of a route for a pattern of another tool, "/" for
// all paths. It returns "" if the pattern is not a prefix.
func convertPath(pattern string) string {
	pattern = strings.TrimSuffix(strings.TrimSuffix(pattern, "*"), "/")
	if pattern != "" && (!plainPath.MatchString(pattern) || path.Clean(pattern) != pattern) {
		return ""
	}
	return cmp.Or(pattern, "/")
}

var apachePass = regexp.MustCompile(`(?im)^[ \t]*(?:(ServerName)[ \t]+(\S+)|(ProxyPass)[ \t]+(/\S*)[ \t]+(\S+))`)

func convertApache(text string) *conversion {
	c := &conversion{partial: true}
	var h *convertedHost
	for _, m := range apachePass.FindAllStringSubmatch(text, -1) {
		if m[1] != "" || h == nil {
			h = c.addHost(convertName(m[2]))
		}
		if m[3] != "" {
			h.add(convertPath(m[4]), m[5], m[4] != "/" && strings.HasSuffix(m[5], "/"))
		}
	}
	return c
}

var haproxyServer = regexp.MustCompile(`(?m)^[ \t]+server[ \t]+\S+[ \t]+(\S+)`)

func convertHAProxy(text string) *conversion {
	c := &conversion{partial: true}
	if servers := haproxyServer.FindAllStringSubmatch(text, -1); len(servers) == 1 {
		c.addHost("").add("/", servers[0][1], false)
	}
	return c
}

var (
	traefikHost = regexp.MustCompile("Host\\([`'\"]+([^`'\")]+)[`'\"]+\\)")
	traefikPort = regexp.MustCompile(`(?im)(?:server\.port|^[ \t-]*["']?url["']?)[ \t]*["']?[ \t]*[:=][ \t]*["']?([^\s"']+)`)
)

func convertTraefik(text string) *conversion {
	names, ports := map[string]bool{}, map[string]bool{}
	for _, m := range traefikHost.FindAllStringSubmatch(text, -1) {
		names[convertName(m[1])] = true
	}
	for _, m := range traefikPort.FindAllStringSubmatch(text, -1) {
		upstream, _ := convertUpstream(m[1])
		ports[upstream] = true
	}
	c := &conversion{partial: true}
	if len(names) == 1 && len(ports) == 1 {
		c.addHost(sortedKeys(names)[0]).upstream = sortedKeys(ports)[0]
	}
	if strings.Contains(text, "server.port") {
		c.note = "the port is one of this machine, not the container's"
	}
	return c
}

func convertHostsFile(text string) *conversion {
	c := &conversion{note: yourPort}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && !strings.HasPrefix(words[0], "#") && isSiteName(words[1]) {
			c.addHost(convertName(words[1])).upstream = "5173"
		}
	}
	return c
}

func convertNameList(text string) *conversion {
	c := &conversion{}
	for line := range strings.Lines(text) {
		if m := hostKey.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			c.addHost(convertName(m[1])).upstream = upstreamForm(m[2])
		}
	}
	return c
}

func convertAddress(text string) *conversion {
	c := &conversion{}
	h := c.addHost("")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := hostLike.FindStringSubmatch(line); m != nil && strings.HasSuffix(m[1], suffix) {
			// The name becomes the host's: no other server has it.
			h.name, line = convertName(line), line[strings.Index(line, suffix)+len(suffix):]
		}
		if addressAlone.MatchString(line) {
			h.add("/", line, false)
		}
	}
	return c
}

// pair is a key and a value of a file with keys and values. A key that contains
// more keys has an empty value.
type pair struct{ key, value string }

var (
	jsonPair = regexp.MustCompile(`(?:"([^"\\\n]*)"|'([^'\\\n]*)'|([A-Za-z_$][\w$]*))[ \t]*:[ \t]*(?:"([^"\\\n]*)"|'([^'\\\n]*)'|([0-9]+)|[\[{])`)
	linePair = regexp.MustCompile(`^[ \t]*(?:- +)?(?:export +)?["']?([^\s"':=\[\]]+|[^\s"'=\[\]]+\.[^\s"'=\[\]:]+)["']?[ \t]*[:=][ \t]*(.*)$`)
	section  = regexp.MustCompile(`^[ \t]*\[\[?([^\]]+)\]`)
)

// convertJSON converts JSON, or a text that people think is JSON.
func convertJSON(text string) *conversion {
	return convertPairs(mapped(jsonPair.FindAllStringSubmatch(text, -1), func(m []string) pair {
		return pair{m[1] + m[2] + m[3], m[4] + m[5] + m[6]}
	}))
}

// convertLines converts YAML, TOML, INI and .env, with one pair per line.
func convertLines(text string) *conversion {
	if strings.Contains(text, "apiVersion:") {
		return &conversion{} // ports of Kubernetes are not those of this machine
	}
	var pairs []pair
	for line := range strings.Lines(text) {
		if m := section.FindStringSubmatch(line); m != nil {
			name := m[1]
			if i := strings.IndexAny(name, `"'`); i >= 0 {
				name = name[i:]
			}
			pairs = append(pairs, pair{strings.Trim(name, `"' `), ""})
			continue
		}
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
			continue
		}
		if m := linePair.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			value, _, _ := strings.Cut(m[2], " #")
			pairs = append(pairs, pair{m[1], strings.Trim(strings.TrimSpace(value), `"',`)})
		} else {
			pairs = append(pairs, pair{"", trimmed})
		}
	}
	return convertPairs(pairs)
}

// convertPairs converts keys that name a host and its port. The conversion is empty
// if a host may have several ports.
func convertPairs(pairs []pair) *conversion {
	c := &conversion{}
	h := c.addHost("")
	named := func(name string) {
		if h.name == "" && len(c.hosts) == 1 && (h.upstream == "" || len(pairs) < 4) {
			h.name = name
			return
		}
		h = c.addHost(name)
	}
	nameKeys := []string{"host", "hosts", "hostname", "domain", "server_name", "name", "site"}
	for _, p := range pairs {
		key := strings.ToLower(p.key[strings.LastIndexByte(p.key, '.')+1:])
		upstream, prefix := convertUpstream(p.value)
		alone := upstream != "" && strings.Trim(prefix, "/") == ""
		switch {
		case isSiteName(p.key) && p.value == "":
			named(convertName(p.key))
		case isSiteName(p.key) && strings.HasSuffix(strings.ToLower(p.key), suffix) && alone:
			named(convertName(p.key))
			h.upstream = upstream
		case strings.HasPrefix(p.key, "/") && upstream != "":
			if !h.add(convertPath(p.key), p.value, false) {
				c.partial = true
			}
		case slices.Contains(nameKeys, key) && strings.HasSuffix(p.value, suffix) && convertName(p.value) != "":
			named(convertName(p.value))
		case isPortKey(key) && alone:
			if h.upstream != "" && h.upstream != upstream {
				return &conversion{}
			}
			h.upstream = upstream
		case p.value != "":
			c.partial = true
		}
	}
	return c
}
