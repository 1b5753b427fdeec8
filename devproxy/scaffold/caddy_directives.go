package scaffold

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// silent are directives that need nothing in a Proxyfile, and those that do not
// change where a request goes.
var silent = strings.Fields("root tls log log_skip skip_log log_append bind templates try_files push tracing metrics php_fastcgi php_server vars fs auto_https")

// directives reads directives that apply below a path and under a condition.
func (s *caddySite) directives(list []directive, below string, strip bool, when condition) {
	for _, d := range list {
		if d.name() == "" || strings.HasPrefix(d.name(), "@") || slices.Contains(silent, d.name()) || s.filesFirst(d) {
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
	if s.php || s.root == "" {
		return false
	}
	serves := d.name() == "file_server" || d.contains("file_server")
	if c := s.at[d.word(1)]; serves && c.file == "yes" && len(c.paths) == 0 {
		s.first = true
		return true
	}
	return d.name() == "file_server" && len(d.words) == 1 && s.first && s.host.upstream != ""
}

func (s *caddySite) directive(d directive, at string, rest []string, strip bool, when condition) {
	switch name := d.name(); name {
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
			if len(inner.words) == 2 && inner.name() == "max_size" && bodySize.MatchString(inner.word(1)) && at == "/" {
				s.host.set("max_body", quoted(strings.ToUpper(inner.word(1))))
			}
		}
	case "encode":
		s.host.set("compress", "true")
	case "uri":
		if len(rest) != 2 || rest[0] != "strip_prefix" { // which group reads
			s.note(d, "uri: use strip_prefix or rewrite of a route")
		}
	case "rewrite":
		if len(rest) != 1 || !strings.HasSuffix(rest[0], "/index.html") {
			s.note(d, "rewrite: use rewrite of a route")
		}
	case "handle_errors":
		s.note(d, "handle_errors: a Proxyfile has no pages for errors")
	case "abort", "error":
		s.note(d, "%s: use respond with a status", name)
	default:
		s.note(d, "%s is not carried over", short(name))
	}
}

var bodySize = regexp.MustCompile(`(?i)^\d+(KB|MB|GB)$`)

// group reads the directives of handle, route and handle_path.
func (s *caddySite) group(d directive, at string, strip bool, when condition) {
	saved, rooted, spa := s.root, s.rooted, s.spa
	s.spa = s.spa && d.contains("reverse_proxy")
	for _, inner := range d.block {
		s.collect(inner)
		strip = strip || slices.Equal(inner.words, []string{"uri", "strip_prefix", routePath(at)})
		s.spa = s.spa || inner.name() == "rewrite" && strings.HasSuffix(inner.last(), "/index.html")
	}
	s.directives(d.block, at, strip, when)
	s.root, s.rooted, s.spa = saved, rooted, spa
}

// on returns the host that a condition names: the site's own, or another one.
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
	h := &host{name: name, file: s.file, line: s.host.line}
	s.hosts = append(s.hosts, h)
	return h
}

// add makes r a route, or the answer of the host if it applies to all requests.
func (s *caddySite) add(d directive, at string, r route, when condition) {
	h := s.on(when)
	r.path, r.match = routePath(at), when.match
	r.exact = !strings.HasSuffix(at, "*") && at != "/"
	if r.path == "/" {
		r.attributes = slices.DeleteFunc(r.attributes, func(a attribute) bool { return a.name == "strip_prefix" })
	}
	if r.path == "/" && !r.exact && r.match == "" && !h.answers() && r.get("status")+r.get("redirect")+r.get("respond") == "" {
		h.upstream, h.service, h.serves = r.upstream, r.service, r.serves
		for _, a := range r.attributes {
			h.set(a.name, a.value)
		}
		return
	}
	if h.addRoute(r) {
		s.note(d, "a second route %q, to %s", r.path, r.answer())
	}
}

// fileServer never serves a folder whose files PHP should run.
func (s *caddySite) fileServer(d directive, at string, strip bool, when condition) {
	folder, below, why := s.root, routePath(at), ""
	oneFile := !strings.HasSuffix(at, "*") && below != "/"
	if oneFile || !strip {
		folder = path.Join(s.root, below)
	}
	switch {
	case s.php:
		why = "php_fastcgi: devproxy doesn't support FastCGI; forward to a server that runs PHP"
	case s.root == "" && !s.rooted:
		why = "file_server has no root; write files = \"FOLDER\""
	case s.root == "", !oneFile && !s.isFolder(folder):
		why = "file_server serves a folder that does not exist in this project"
	case oneFile && s.in(".", folder) == "":
		why = "file_server serves a file that does not exist in this project: " + short(below)
	}
	if why != "" {
		s.lost = s.lost || s.php || s.root == "" && at == "/"
		if !s.php || !s.any(func(c *candidate) bool { return c.role == container && c.fronts == 2 }) { // whose server runs PHP
			s.note(d, "%s", why)
		}
		return
	}
	made := route{}
	made.set("files", quoted(folder))
	if s.spa && at == "/" {
		made.set("spa", "true")
	}
	s.add(d, at, made, when)
}

var redirectStatus = map[string]string{"301": "301", "303": "303", "307": "307", "308": "308", "permanent": "301"}

func (s *caddySite) redirect(d directive, at string, rest []string, when condition) {
	if len(rest) == 0 || at == "/" && strings.HasPrefix(rest[0], "https://{host}") && when.match == "" {
		return // devproxy redirects from HTTP to HTTPS itself
	}
	to, made := placeholderWords.Replace(rest[0]), route{}
	same := strings.HasPrefix(to, "{path}") || strings.HasPrefix(to, "{uri}") || strings.HasPrefix(to, strings.TrimSuffix(routePath(at), "/")+"/") && at != "/"
	if !isRedirect(to) || same && (strings.HasSuffix(at, "*") || at == "/") {
		s.lost = s.lost || at == "/"
		s.note(d, "a Proxyfile can't express the redirect to %q", short(rest[0]))
		return
	}
	made.set("redirect", quoted(to))
	if len(rest) > 1 && redirectStatus[rest[1]] != "" {
		made.set("status", redirectStatus[rest[1]])
	}
	s.add(d, at, made, when)
}

var exampleValues = strings.NewReplacer("{client}", "1", "{host}", "h", "{uri}", "/u", "{path}", "/p", "{rest}", "/r", "{query}", "q", "{id}", "i")

// isRedirect reports whether a Proxyfile can express the target of a redirect. No
// part of a visitor's request may become a part of the host.
func isRedirect(to string) bool {
	example := exampleValues.Replace(to)
	u, err := url.Parse(example)
	if err != nil || strings.ContainsAny(example, "{} \t\n") || visitorHost.MatchString(to) || otherVariable.MatchString(to) {
		return false
	}
	if u.Scheme == "" {
		return strings.HasPrefix(example, "/") && u.Host == "" && !strings.HasPrefix(example, "//") && !strings.HasPrefix(to, "{host}")
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// visitorHost matches a URL in which a placeholder for the path is a part of the
// host.
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
		s.note(d, "respond: a Proxyfile can't express its status or body")
		return
	}
	made := route{}
	made.set("respond", strconv.Itoa(status))
	if body != "" {
		made.set("respond", fmt.Sprintf("{ status = %d, body = %s }", status, quoted(body)))
	}
	s.add(d, at, made, when)
}

// header reads header [path] FIELD VALUE, and the form with a block.
func (s *caddySite) header(d directive, at string, rest []string, when condition) {
	if at != "/" || when.match != "" || when.host != "" {
		s.notes.group("headers of a part of a site; use response_headers of a route", path.Base(s.file)+" "+short(strings.Join(rest[:min(1, len(rest))], "")))
		return
	}
	s.headerField(&s.host.block, "response_headers", rest)
	for _, line := range d.block {
		s.headerField(&s.host.block, "response_headers", line.words)
	}
}

// ownHeaders are request fields that devproxy sets itself, to what people usually
// configure.
var ownHeaders = strings.Fields("host x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-server forwarded upgrade connection x-scheme x-forwarded-ssl x-forwarded-protocol")

// headerField carries over one line: NAME VALUE, -NAME or +NAME VALUE.
func (s *caddySite) headerField(to *block, attribute string, words []string) {
	if len(words) == 0 {
		return
	}
	name := strings.TrimSuffix(words[0], ":")
	plain, value := strings.TrimPrefix(name, "?"), placeholderWords.Replace(words[len(words)-1])
	removed, removes := strings.CutPrefix(name, "-")
	switch {
	case attribute == "request_headers" && slices.Contains(ownHeaders, strings.ToLower(strings.TrimLeft(name, "+-"))), name == "defer", name == "-Server" && len(words) == 1:
	case removes && plainKey.MatchString(removed):
		to.setEntry(attribute, removed, "null")
	case len(words) == 2 && plainKey.MatchString(plain) && isHeaderValue(value):
		to.setEntry(attribute, plain, quoted(value))
	default:
		s.notes.group("headers that a Proxyfile can't express", path.Base(s.file)+" "+short(name))
	}
}

// isHeaderValue reports whether a value has only placeholders that a Proxyfile has
// too, and no variables.
func isHeaderValue(value string) bool {
	return !strings.ContainsAny(knownPlaceholder.ReplaceAllString(value, ""), "{}\r\n") && !otherVariable.MatchString(value)
}

// placeholderWords replaces the placeholders of Caddy by those of a Proxyfile.
var placeholderWords = strings.NewReplacer(
	"{remote_host}", "{client}", "{remote_ip}", "{client}", "{client_ip}", "{client}", "{http.request.remote.host}", "{client}", "{http.vars.client_ip}", "{client}", "{http.request.client_ip}", "{client}",
	"{hostport}", "{host}", "{http.request.host}", "{host}", "{http.request.hostport}", "{host}", "{http.request.uri}", "{uri}", "{http.request.uri.path}", "{path}", "{http.request.uri.query}", "{query}",
	"{http.request.uuid}", "{id}", "{scheme}", "https", "{http.request.scheme}", "https",
)

var (
	knownPlaceholder = regexp.MustCompile(`\{(client|host|uri|path|query|id|rest)\}`)
	otherVariable    = regexp.MustCompile(`\$[A-Za-z_]`)
)

// basicAuth carries over hashes of bcrypt.
func (s *caddySite) basicAuth(d directive, at string) {
	var users []string
	for _, line := range d.block {
		if len(line.words) == 2 && strings.HasPrefix(line.word(1), "$2") && len(line.word(1)) == 60 {
			users = append(users, quoted(line.name())+" = "+quoted(line.word(1)))
		}
	}
	if len(users) == 0 || at != "/" {
		s.note(d, "basic_auth: use basic_auth of a host or route")
		return
	}
	s.host.set("basic_auth", "{ "+strings.Join(users, ", ")+" }")
}
