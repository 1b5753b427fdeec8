package scaffold

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// caddySite is a site of a Caddyfile on its way to a host.
type caddySite struct {
	s    *scan
	file string
	host *host
	root string              // of file_server
	at   map[string][]string // paths by the name of a matcher, "@api"
}

// readCaddy reads the sites of a Caddyfile: what they proxy, serve, redirect and
// answer. Everything else is noted.
func readCaddy(s *scan, file string, text []byte) {
	sites, _ := caddyDirectives(caddyWords(string(text)), 0)
	for i, site := range sites {
		switch {
		case len(site.words) == 0 && i == 0:
			s.draft.note(file, site.line, "the global options: ports stand in listen { }, certificates are devproxy's own")
		case len(site.words) == 0:
		case strings.HasPrefix(site.words[0], "("), site.words[0] == "import":
			s.draft.note(file, site.line, site.words[0]+": a Proxyfile has no snippets; locals hold values")
		default:
			s.caddySite(file, site)
		}
	}
}

func (s *scan) caddySite(file string, d directive) {
	c := &caddySite{s: s, file: file, host: &host{file: file, line: d.line}, at: map[string][]string{}}
	names := strings.FieldsFunc(strings.Join(d.words, " "), func(r rune) bool { return r == ',' || r == ' ' })
	for i, address := range names {
		name := caddyName(address)
		if i > 0 {
			s.draft.note(file, d.line, fmt.Sprintf("%q is one more name of the site: write it in aliases", address))
			break
		}
		if name != "" {
			c.host.name = underLocalhost(name)
		}
	}
	for _, inner := range d.block {
		if len(inner.words) > 1 && inner.words[0] == "root" {
			c.root = inner.words[len(inner.words)-1]
		}
		if len(inner.words) > 0 && strings.HasPrefix(inner.words[0], "@") {
			c.matcher(inner)
		}
	}
	c.read(d.block, "/", false)
	if c.host.upstream == "" && c.host.files == "" && len(c.host.routes) == 0 {
		return
	}
	s.draft.hosts = append(s.draft.hosts, c.host)
	s.draft.say(file, "%s", strings.Join(names, " "))
}

// caddyName is the host of a site's address; empty for a port alone.
func caddyName(address string) string {
	if _, rest, found := strings.Cut(address, "://"); found {
		address = rest
	}
	address, _, _ = strings.Cut(address, "/")
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[:i]
	}
	if strings.ContainsAny(address, "*{") {
		return ""
	}
	return address
}

// matcher keeps the paths of a named matcher.
func (c *caddySite) matcher(d directive) {
	words := d.words[1:]
	for _, inner := range d.block {
		words = append(words, inner.words...)
	}
	if len(words) > 1 && words[0] == "path" {
		c.at[d.words[0]] = words[1:]
		return
	}
	c.s.draft.note(c.file, d.line, d.words[0]+": only a matcher of paths is carried over; see match")
}

// read reads directives that hold below a path.
func (c *caddySite) read(list []directive, below string, strip bool) {
	for _, d := range list {
		if len(d.words) == 0 || strings.HasPrefix(d.words[0], "@") {
			continue
		}
		paths, rest := c.paths(d, below)
		for _, at := range paths {
			c.directive(d, at, rest, strip)
		}
	}
}

// paths are those that a directive's matcher names, and the words behind it.
func (c *caddySite) paths(d directive, below string) (paths, rest []string) {
	rest = d.words[1:]
	switch {
	case len(rest) == 0 || rest[0] == "*":
		return []string{below}, rest[min(1, len(rest)):]
	case strings.HasPrefix(rest[0], "@"):
		paths = c.at[rest[0]]
	case strings.HasPrefix(rest[0], "/") && d.words[0] != "root" && (d.words[0] != "redir" && d.words[0] != "rewrite" || len(rest) > 1):
		paths = rest[:1]
	default:
		return []string{below}, rest
	}
	var good []string
	for _, p := range paths {
		at := p
		if below != "/" {
			at = path.Join(below, p)
			if strings.HasSuffix(p, "*") {
				at += "*"
			}
		}
		if routePath(strings.TrimSuffix(at, "*")) == "" {
			c.s.draft.note(c.file, d.line, fmt.Sprintf("the path %q cannot be said in a Proxyfile", p))
			continue
		}
		good = append(good, at)
	}
	return good, rest[1:]
}

func (c *caddySite) directive(d directive, at string, rest []string, strip bool) {
	switch name := d.words[0]; name {
	case "reverse_proxy":
		c.proxy(d, at, rest, strip)
	case "file_server":
		c.files(d, at)
	case "redir":
		c.redirect(d, at, rest)
	case "respond":
		c.respond(d, at, rest)
	case "handle", "route":
		c.read(d.block, at, strip)
	case "handle_path":
		c.read(d.block, at, true)
	case "encode":
		c.host.compress = true
	case "root", "tls", "log":
	default:
		c.s.draft.note(c.file, d.line, name+": it is not carried over")
	}
}

// add makes r a route, or the answer of the host when it is for all of it.
func (c *caddySite) add(d directive, at string, r route) {
	r.exact = !strings.HasSuffix(at, "*") && at != "/"
	r.path = routePath(at)
	whole := r.path == "/" && !r.strip
	switch {
	case whole && r.upstream != "" && c.host.upstream+c.host.files == "":
		c.host.upstream = r.upstream
	case whole && r.files != "" && c.host.upstream+c.host.files == "":
		c.host.files = r.files
	default:
		r.strip = r.strip && r.path != "/"
		c.host.route(c.s.draft, c.file, d.line, r)
	}
}

func (c *caddySite) proxy(d directive, at string, rest []string, strip bool) {
	for _, inner := range d.block {
		if len(inner.words) > 1 && inner.words[0] == "to" {
			rest = append(rest, inner.words[1:]...)
		} else if len(inner.words) > 0 {
			c.s.draft.note(c.file, inner.line, "reverse_proxy { "+inner.words[0]+" }: see service and request_headers")
		}
	}
	var upstreams []string
	for _, to := range rest {
		upstream, ok := caddyUpstream(to)
		if !ok {
			c.s.draft.note(c.file, d.line, fmt.Sprintf("the upstream %q cannot be said in a Proxyfile", to))
			continue
		}
		upstreams = append(upstreams, upstream)
	}
	if len(upstreams) > 0 {
		c.add(d, at, route{upstream: strings.Join(upstreams, " "), strip: strip})
	}
}

// caddyUpstream is an address that Caddy dials: "localhost:3000", ":3000",
// "h2c://…", "unix//run/app.sock".
func caddyUpstream(to string) (string, bool) {
	if socket, ok := strings.CutPrefix(to, "unix/"); ok {
		return "unix:" + socket, strings.HasPrefix(socket, "/") && !strings.ContainsAny(socket, " {}")
	}
	if strings.HasPrefix(to, ":") {
		return to[1:], portOf(to[1:]) != 0
	}
	scheme := "http"
	if before, rest, found := strings.Cut(to, "://"); found {
		scheme, to = before, rest
	}
	if scheme == "h2c" {
		upstream, prefix, ok := target("https://" + to)
		return "h2c" + strings.TrimPrefix(upstream, "https"), ok && prefix == "" && strings.Contains(to, ":")
	}
	upstream, prefix, ok := target(scheme + "://" + to)
	return upstream, ok && prefix == ""
}

func (c *caddySite) files(d directive, at string) {
	if c.root == "" || strings.ContainsAny(c.root, "{}") {
		c.s.draft.note(c.file, d.line, "file_server without a root that is written out: write files = \"FOLDER\"")
		return
	}
	c.add(d, at, route{files: c.root})
}

func (c *caddySite) redirect(d directive, at string, rest []string) {
	if len(rest) == 0 {
		return
	}
	// {uri} is the whole path, {rest} what follows the route's.
	to, status := strings.ReplaceAll(rest[0], "{uri}", strings.TrimSuffix(routePath(at), "/")+"{rest}"), 0
	if len(rest) > 1 {
		status = map[string]int{"301": 301, "302": 302, "303": 303, "307": 307, "308": 308, "permanent": 301, "temporary": 302}[rest[1]]
	}
	if !isRedirect(strings.ReplaceAll(to, "{rest}", "")) {
		c.s.draft.note(c.file, d.line, fmt.Sprintf("the redirect to %q cannot be said in a Proxyfile", rest[0]))
		return
	}
	c.add(d, at, route{redirect: to, status: status})
}

// isRedirect reports whether a Proxyfile can say where to.
func isRedirect(to string) bool {
	u, err := url.Parse(to)
	if err != nil || strings.ContainsAny(to, "{} \t\n") {
		return false
	}
	if u.Scheme == "" {
		return strings.HasPrefix(to, "/") && u.Host == ""
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func (c *caddySite) respond(d directive, at string, rest []string) {
	r := route{respond: true, status: 200}
	for _, text := range rest {
		if n, err := strconv.Atoi(text); err == nil {
			r.status = n
		} else {
			r.body = text
		}
	}
	if r.status == 204 || r.status == 205 || r.status == 304 {
		r.body = "" // which none of them has (RFC 9110 section 6.4.1)
	}
	if r.status < 200 || r.status > 599 || strings.Contains(r.body, "{") {
		c.s.draft.note(c.file, d.line, "respond: its status or body cannot be said in a Proxyfile")
		return
	}
	c.add(d, at, r)
}
