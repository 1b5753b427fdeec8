package scaffold

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

func quoted(text string) string { return hcl.Quote(text) }

// directives reads directives that hold below a path and under a condition.
func (s *caddySite) directives(list []directive, below string, strip bool, when condition) {
	for _, d := range list {
		if len(d.words) == 0 || strings.HasPrefix(d.words[0], "@") {
			continue
		}
		if skip := slices.Contains(silent, d.words[0]); skip {
			continue
		}
		if s.filesFirst(d) {
			continue
		}
		paths, rest, under := s.paths(d, below, when)
		for _, at := range paths {
			s.directive(d, at, rest, strip, under)
		}
	}
}

// filesFirst reports whether d only serves the files of the root, next to an
// upstream that answers for the rest.
func (s *caddySite) filesFirst(d directive) bool {
	if s.php || s.root == "" || len(d.words) == 0 {
		return false
	}
	serves := d.words[0] == "file_server" || slices.ContainsFunc(d.block, func(i directive) bool { return len(i.words) > 0 && i.words[0] == "file_server" })
	if len(d.words) > 1 {
		if c, known := s.at[d.words[1]]; known && c.file == "yes" && len(c.paths) == 0 && serves {
			s.first = true
			return true
		}
	}
	return d.words[0] == "file_server" && len(d.words) == 1 && s.first && s.host.upstream != ""
}

// silent are directives whose work devproxy does by itself, or that say nothing
// of where a request goes.
var silent = []string{"root", "tls", "log", "log_skip", "skip_log", "log_append", "bind", "templates", "try_files", "push", "tracing", "metrics", "php_fastcgi", "php_server", "vars", "fs", "auto_https"}

// paths are those that a directive's matcher names, and the words after it.
func (s *caddySite) paths(d directive, below string, when condition) (paths, rest []string, under condition) {
	rest = d.words[1:]
	switch {
	case len(rest) == 0 || rest[0] == "*":
		return []string{below}, rest[min(1, len(rest)):], when
	case strings.HasPrefix(rest[0], "@"):
		c, known := s.at[rest[0]]
		switch {
		case !known || c.unknown != "":
			if c.unknown == "" {
				c.unknown = "it is not defined"
			}
			s.notes.add(Note{s.file, d.line, fmt.Sprintf("%s %s: a Proxyfile can't express the condition %s", d.words[0], rest[0], short(c.unknown))})
			return nil, nil, when
		case c.match != "" && when.match != "" && c.match != when.match:
			s.notes.add(Note{s.file, d.line, rest[0] + ": two matchers inside of each other"})
			return nil, nil, when
		}
		paths = c.paths
		if c.file == "no" && len(paths) == 0 {
			s.first = true
			return []string{below}, rest[1:], when
		}
		if c.file != "" {
			s.notes.add(Note{s.file, d.line, fmt.Sprintf("%s %s: a Proxyfile can't express the condition %s", d.words[0], rest[0], "file")})
			return nil, nil, when
		}
		if c.match == "" {
			c.match = when.match
		}
		if c.host == "" {
			c.host = when.host
		}
		when = c
		if len(paths) == 0 {
			return []string{below}, rest[1:], when
		}
	case strings.HasPrefix(rest[0], "/") && (d.words[0] != "redir" && d.words[0] != "rewrite" && d.words[0] != "uri" || len(rest) > 1 && d.words[0] != "redir" || d.words[0] == "redir" && len(rest) > 1 && !isStatus(rest[1])):
		paths = rest[:1]
	default:
		return []string{below}, rest, when
	}
	var good []string
	for _, p := range paths {
		at := p
		if below != "/" {
			base := strings.TrimSuffix(strings.TrimSuffix(below, "*"), "/")
			if at = p; !strings.HasPrefix(p, base) {
				at = base + p
			}
		}
		if caddyPath(at) == "" {
			s.notes.add(Note{s.file, d.line, fmt.Sprintf("a Proxyfile can't express the path %q", p)})
			continue
		}
		good = append(good, at)
	}
	// "/api /api/*" is one prefix.
	good = slices.DeleteFunc(slices.Clone(good), func(p string) bool { return slices.Contains(good, p+"/*") || slices.Contains(good, p+"*") })
	return good, rest[1:], when
}

func isStatus(word string) bool {
	return slices.Contains([]string{"permanent", "temporary", "html"}, word) || len(word) == 3 && portOf(word) != 0
}

// caddyPath is a path of Caddy as that of a route; empty when a Proxyfile cannot
// say it. "/api*" and "/api/*" are the prefix.
func caddyPath(at string) string { return routePath(at) }

func (s *caddySite) directive(d directive, at string, rest []string, strip bool, when condition) {
	note := func(text string) { s.notes.add(Note{s.file, d.line, text}) }
	switch name := d.words[0]; name {
	case "reverse_proxy":
		s.proxy(d, at, rest, strip, when)
	case "file_server":
		s.fileServer(d, at, strip, when)
	case "redir":
		s.redirect(d, at, rest, when)
	case "respond":
		s.respond(d, at, rest, when)
	case "handle", "route":
		s.group(d, at, strip, when)
	case "handle_path":
		s.group(d, at, true, when)
	case "header":
		s.header(d, at, rest, when)
	case "basic_auth", "basicauth":
		s.basicAuth(d, at)
	case "request_body":
		for _, inner := range d.block {
			if len(inner.words) == 2 && inner.words[0] == "max_size" && bodySize.MatchString(inner.words[1]) && at == "/" {
				s.host.set("max_body", quoted(strings.ToUpper(inner.words[1])))
			}
		}
	case "encode":
		s.host.set("compress", "true")
	case "uri":
		if len(rest) == 2 && rest[0] == "strip_prefix" {
			return // group reads it
		}
		note("uri: see strip_prefix and rewrite")
	case "rewrite":
		if len(rest) == 1 && strings.HasSuffix(rest[0], "/index.html") {
			return
		}
		note("rewrite: see rewrite of a route")
	case "handle_errors":
		note("handle_errors: devproxy has no pages for errors of its own")
	case "abort", "error":
		note(name + ": write respond with a status")
	default:
		note(short(name) + " is not carried over")
	}
}

var bodySize = regexp.MustCompile(`(?i)^\d+(KB|MB|GB)$`)

// group reads the directives of handle, route and handle_path.
func (s *caddySite) group(d directive, at string, strip bool, when condition) {
	for _, inner := range d.block {
		if len(inner.words) == 3 && inner.words[0] == "uri" && inner.words[1] == "strip_prefix" && inner.words[2] == caddyPath(at) {
			strip = true
		}
	}
	saved, rooted, spa := s.root, s.rooted, s.spa
	if !slices.ContainsFunc(d.block, func(i directive) bool { return len(i.words) > 0 && i.words[0] == "reverse_proxy" }) {
		s.spa = false
	}
	for _, inner := range d.block {
		if len(inner.words) > 1 && inner.words[0] == "root" {
			s.setRoot(inner)
		}
		if len(inner.words) > 1 && (inner.words[0] == "try_files" || inner.words[0] == "rewrite") && strings.HasSuffix(inner.words[len(inner.words)-1], "/index.html") {
			s.spa = true
		}
		if len(inner.words) > 0 && strings.HasPrefix(inner.words[0], "@") {
			s.at[inner.words[0]] = s.matcher(inner)
		}
	}
	s.directives(d.block, at, strip, when)
	s.root, s.rooted, s.spa = saved, rooted, spa
}

// on is the host that a condition names: the site's own, or one more.
func (s *caddySite) on(when condition) *host {
	if when.host == "" {
		return s.host
	}
	name := s.hostName(when.host)
	for _, h := range s.hosts {
		if h.name == name {
			return h
		}
	}
	h := &host{name: name, file: s.file, line: s.line}
	s.hosts = append(s.hosts, h)
	return h
}

// add makes r a route, or the answer of the host when it is for all of it.
func (s *caddySite) add(d directive, at string, r route, when condition) {
	h := s.on(when)
	r.path, r.match = caddyPath(at), when.match
	r.exact = !strings.HasSuffix(at, "*") && at != "/"
	if r.path == "/" {
		r.attributes = slices.DeleteFunc(r.attributes, func(a attribute) bool { return a.name == "strip_prefix" })
	}
	if r.path == "/" && !r.exact && r.match == "" && !h.answers() && len(r.get("status")) == 0 && r.get("redirect") == "" && r.get("respond") == "" {
		h.upstream, h.service, h.serves = r.upstream, r.service, r.serves
		for _, a := range r.attributes {
			h.set(a.name, a.value)
		}
		return
	}
	if h.route(r) {
		s.notes.add(Note{s.file, d.line, fmt.Sprintf("a second route %q, to %s", r.path, r.answer())})
	}
}

// fileServer never serves a folder whose files PHP should run.
func (s *caddySite) fileServer(d directive, at string, strip bool, when condition) {
	switch {
	case s.php:
		s.lost = true
		if slices.ContainsFunc(s.candidates, func(c *candidate) bool { return c.role == container && c.fronts == 2 }) {
			return // the server of the container runs PHP
		}
		s.notes.add(Note{File: s.file, Text: "php_fastcgi: devproxy doesn't speak FastCGI; forward to a server that runs PHP"})
		return
	case s.root == "":
		s.lost = s.lost || at == "/"
		text := "file_server has no root; write files = \"FOLDER\""
		if s.rooted {
			text = "file_server serves a folder that is not in this project now"
		}
		s.notes.add(Note{s.file, d.line, text})
		return
	}
	folder := s.root
	if below := caddyPath(at); !strings.HasSuffix(at, "*") && below != "/" { // one file
		if folder = path.Join(s.root, below); s.in(".", folder) == "" {
			s.notes.add(Note{s.file, d.line, "file_server serves a file that is not in this project now: " + short(below)})
			return
		}
	} else if below != "/" && !strip {
		if folder = path.Join(s.root, below); !s.isFolder(folder) {
			s.notes.add(Note{s.file, d.line, "file_server serves a folder that is not in this project now"})
			return
		}
	}
	made := route{}
	made.set("files", quoted(folder))
	if s.spa && at == "/" {
		made.set("spa", "true")
	}
	s.add(d, at, made, when)
}

func (s *caddySite) redirect(d directive, at string, rest []string, when condition) {
	if len(rest) == 0 {
		return
	}
	if at == "/" && strings.HasPrefix(rest[0], "https://{host}") && when.match == "" {
		return // from HTTP to HTTPS, as devproxy does
	}
	to, made := placeholderWords.Replace(rest[0]), route{}
	same := strings.HasPrefix(to, "{path}") || strings.HasPrefix(to, "{uri}") || strings.HasPrefix(to, strings.TrimSuffix(caddyPath(at), "/")+"/") && at != "/"
	if !isRedirect(to) || same && (strings.HasSuffix(at, "*") || at == "/") {
		s.lost = s.lost || at == "/"
		s.notes.add(Note{s.file, d.line, fmt.Sprintf("a Proxyfile can't express the redirect to %q", short(rest[0]))})
		return
	}
	made.set("redirect", quoted(to))
	if len(rest) > 1 {
		if status := map[string]int{"301": 301, "303": 303, "307": 307, "308": 308, "permanent": 301}[rest[1]]; status != 0 {
			made.set("status", strconv.Itoa(status))
		}
	}
	s.add(d, at, made, when)
}

// isRedirect reports whether a Proxyfile can say where to. What a visitor writes
// must not become a part of a host.
func isRedirect(to string) bool {
	if visitorHost.MatchString(to) || otherVariable.MatchString(to) {
		return false
	}
	example := strings.NewReplacer("{client}", "1", "{host}", "h", "{uri}", "/u", "{path}", "/p", "{rest}", "/r", "{query}", "q", "{id}", "i").Replace(to)
	u, err := url.Parse(example)
	if err != nil || strings.ContainsAny(example, "{} \t\n") {
		return false
	}
	if u.Scheme == "" {
		return strings.HasPrefix(example, "/") && u.Host == "" && !strings.HasPrefix(example, "//") && !strings.HasPrefix(to, "{host}")
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// visitorHost is a URL in which a placeholder of the path is a part of the host.
var visitorHost = regexp.MustCompile(`^https?://[^/?#]*(\{(query|client|id)\}|\{(uri|path|rest)\}[^/?#])`)

func (s *caddySite) respond(d directive, at string, rest []string, when condition) {
	status, body := 200, ""
	for _, text := range rest {
		if n, err := strconv.Atoi(text); err == nil {
			status = n
		} else {
			body = text
		}
	}
	if status == 204 || status == 205 || status == 304 {
		body = "" // which none of them has (RFC 9110 section 6.4.1)
	}
	if status < 200 || status > 599 || strings.Contains(body, "{") {
		s.notes.add(Note{s.file, d.line, "respond: a Proxyfile can't express its status or body"})
		return
	}
	made := route{}
	made.set("respond", strconv.Itoa(status))
	if body != "" {
		made.set("respond", fmt.Sprintf("{ status = %d, body = %s }", status, quoted(body)))
	}
	s.add(d, at, made, when)
}
