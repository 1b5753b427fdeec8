package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// caddyfiles are read in this order of preference in each folder: that of
// development first.
var caddyfiles = []string{"Caddyfile.dev", "Caddyfile.development", "Caddyfile.local", "dev.Caddyfile", "Caddyfile"}

// readCaddyfiles reads the sites of Caddyfiles: what they proxy, serve, redirect
// and answer.
func (d *discovery) readCaddyfiles() {
	for _, folder := range d.folders(caddyfiles...) {
		file := d.in(folder, caddyfiles...)
		outer := d.notes
		d.notes = &notes{} // those of a file of which nothing is used say nothing
		c := &caddyfile{discovery: d, file: file, folder: folder, snippets: map[string][]directive{}}
		text := caddyExpand(string(d.text(file)), func(name string) (string, bool) { return d.variable(folder, name) })
		list, _ := caddyDirectives(caddyWords(text), 0)
		sites := c.read(list)
		used := false
		for _, site := range sites {
			for _, h := range site.hosts {
				if site.keep(h) {
					d.sites = append(d.sites, h)
					d.say(h.file, strings.Join(site.names, " "))
					used = true
				}
			}
			used = used || site.lent
		}
		inner := d.notes
		d.notes = outer
		switch {
		case used || len(d.candidates) == 0:
			d.notes.join(inner)
		case len(sites) > 0 && !slices.ContainsFunc(sites, func(s *caddySite) bool { return s.php }):
			d.notes.add(Note{File: file, Text: "its sites are left out: they lead to nothing that runs here"})
		}
	}
}

// caddyfile is one file while it is read.
type caddyfile struct {
	*discovery
	file, folder string
	snippets     map[string][]directive
}

// caddySite is a site of a Caddyfile on its way to hosts.
type caddySite struct {
	*caddyfile
	names  []string // its addresses
	host   *host
	hosts  []*host // host first, then those that matchers name
	root   string  // of file_server; empty for none that can be served
	rooted bool    // the file names one
	spa    bool
	first  bool // a file of root answers before the upstream
	php    bool
	lent   bool // its routes went to a dev server's host
	lost   bool // its own answer could not be carried over
	line   int
	at     map[string]condition // by the name of a matcher, "@api"
}

// condition is what a matcher asks of a request.
type condition struct {
	paths   []string
	host    string
	match   string // HCL
	file    string // "yes" for paths that are files of the root, "no" for the others
	unknown string // what of it a Proxyfile cannot say
}

func (c *caddyfile) read(list []directive) []*caddySite {
	var sites []*caddySite
	for i, d := range list {
		switch {
		case len(d.words) == 0 && i == 0: // global options: ports and certificates are devproxy's own
		case len(d.words) == 0:
		case strings.HasPrefix(d.words[0], "(") && d.open:
			c.snippets[strings.Trim(d.words[0], "()")] = d.block
		case d.words[0] == "import":
			c.notes.add(Note{c.file, d.line, "import " + short(strings.Join(d.words[1:], " ")) + ": other files are not read"})
		case !d.open: // one site without braces
			return append(sites, c.site(directive{words: d.words, line: d.line, block: list[i+1:]}))
		default:
			sites = append(sites, c.site(d))
		}
	}
	return sites
}

func (c *caddyfile) site(d directive) *caddySite {
	s := &caddySite{caddyfile: c, host: &host{file: c.file, line: d.line}, at: map[string]condition{}, line: d.line}
	s.hosts = []*host{s.host}
	s.names = strings.FieldsFunc(strings.Join(d.words, " "), func(r rune) bool { return r == ',' || r == ' ' })
	var names []string
	for _, address := range s.names {
		if name := c.hostName(address); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{c.project + suffix}
	}
	s.host.name = names[0]
	s.host.aliases = names[1:]
	block := c.imported(d.block, 0)
	for _, inner := range block {
		s.collect(inner)
	}
	s.directives(block, "/", false, condition{})
	if s.first && s.root != "" && s.host.upstream != "" {
		s.host.set("try_files", quoted(s.root))
	}
	return s
}

// maxImports is how deep snippets may import others.
const maxImports = 10

// imported replaces imports of snippets by what they hold.
func (c *caddyfile) imported(list []directive, depth int) []directive {
	var out []directive
	for _, d := range list {
		if len(d.words) > 1 && d.words[0] == "import" {
			snippet, found := c.snippets[d.words[1]]
			if !found || depth > maxImports {
				c.notes.add(Note{c.file, d.line, "import " + short(d.words[1]) + ": other files are not read"})
				continue
			}
			out = append(out, c.imported(withArguments(snippet, d.words[2:]), depth+1)...)
			if len(out) > maxEntries {
				return out[:maxEntries]
			}
			continue
		}
		d.block = c.imported(d.block, depth)
		out = append(out, d)
	}
	return out
}

// withArguments puts args in place of {args[0]} and {args.0}.
func withArguments(list []directive, args []string) []directive {
	out := slices.Clone(list)
	for i := range out {
		out[i].words = slices.Clone(out[i].words)
		for j, w := range out[i].words {
			for n, arg := range args {
				w = strings.NewReplacer(fmt.Sprintf("{args[%d]}", n), arg, fmt.Sprintf("{args.%d}", n), arg).Replace(w)
			}
			out[i].words[j] = w
		}
		out[i].block = withArguments(out[i].block, args)
	}
	return out
}

// hostName is the host of a site's address under .localhost; the project's own
// for a port alone.
func (c *caddyfile) hostName(address string) string {
	name := caddyName(address)
	if name == "" || name == "localhost" || name == "127.0.0.1" || name == "0.0.0.0" {
		return c.project + suffix
	}
	return underLocalhost(name)
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
	if strings.ContainsAny(strings.TrimPrefix(address, "*."), "*{}[]") {
		return ""
	}
	return address
}

// production reports whether the site's name is one of the internet.
func (s *caddySite) production() bool {
	for _, address := range s.names {
		name := caddyName(address)
		last := name[strings.LastIndexByte(name, '.')+1:]
		if strings.Contains(name, ".") && !slices.Contains([]string{"localhost", "test", "local", "internal", "lan", "home", "dev", "example", "invalid", "localdomain"}, last) && !strings.HasPrefix(name, "127.") {
			return true
		}
	}
	return false
}

// keep reports whether a host of the site becomes one of the Proxyfile. A site
// of production, and one whose own answer is lost, never comes before a dev
// server.
func (s *caddySite) keep(h *host) bool {
	if !h.answers() && len(h.routes) == 0 {
		return false
	}
	if h.upstream != "" && !s.production() {
		return true
	}
	own := func(upstream string) bool {
		return slices.ContainsFunc(s.candidates, func(c *candidate) bool { return slices.Contains(strings.Fields(upstream), c.upstream()) })
	}
	if own(h.upstream) || slices.ContainsFunc(h.routes, func(r route) bool { return own(r.upstream) }) && !s.lost {
		return true
	}
	others := slices.ContainsFunc(s.candidates, func(c *candidate) bool { return c.rank() >= 45 || c.role == container && c.rank() >= 20 })
	if s.production() && others {
		return false
	}
	if h.name == s.project+suffix && !h.answers() && others { // routes for the dev server's host
		s.lend(h)
		return false
	}
	return h.answers() || len(h.routes) > 0 && !s.lost
}

// lend gives the routes of a host without an answer of its own to the dev server
// that has its name.
func (s *caddySite) lend(h *host) {
	if main := s.pickMain(); main != nil {
		for _, r := range h.routes {
			if r.upstream != "" {
				main.route(r)
			}
		}
		s.say(s.file, strings.Join(s.names, " "))
		s.lent = true
	}
}

// collect takes what holds for the whole site before its directives are read.
func (s *caddySite) collect(d directive) {
	if len(d.words) == 0 {
		return
	}
	switch {
	case strings.HasPrefix(d.words[0], "@"):
		s.at[d.words[0]] = s.matcher(d)
	case d.words[0] == "php_fastcgi" || d.words[0] == "php_server" || d.words[0] == "php":
		s.php = true
	case d.words[0] == "root" && len(d.words) > 1:
		s.setRoot(d)
	case d.words[0] == "try_files":
		s.spa = s.spa || strings.HasSuffix(d.words[len(d.words)-1], "/index.html")
	}
	s.php = s.php || runsPHP(d.block)
}

// runsPHP reports whether a block, or one in it, hands requests to PHP.
func runsPHP(list []directive) bool {
	return slices.ContainsFunc(list, func(d directive) bool {
		return len(d.words) > 0 && (d.words[0] == "php_fastcgi" || d.words[0] == "php_server") || runsPHP(d.block) ||
			len(d.words) > 1 && d.words[0] == "transport" && d.words[1] == "fastcgi"
	})
}

// setRoot keeps the folder of file_server, where it is one of the project.
func (s *caddySite) setRoot(d directive) {
	s.rooted = true
	root := d.words[len(d.words)-1]
	s.root = ""
	if strings.ContainsAny(root, "{}*") || path.IsAbs(root) {
		return
	}
	local := path.Join(s.folder, root)
	if !strings.HasPrefix(local, "..") && s.isFolder(local) {
		s.root = local
	}
}

// matcher reads a named matcher.
func (s *caddySite) matcher(d directive) condition {
	lines := d.block
	if len(d.words) > 1 {
		lines = append([]directive{{words: d.words[1:], line: d.line, block: d.block}}, lines...)
	}
	var c condition
	var methods, headers, query []string
	for _, line := range lines {
		if len(line.words) == 0 {
			continue
		}
		args := line.words[1:]
		switch line.words[0] {
		case "path":
			c.paths = append(c.paths, args...)
		case "path_regexp":
			pattern := ""
			if len(args) > 0 {
				pattern = args[len(args)-1]
			}
			places := prefixes(pattern)
			if len(places) == 0 || !strings.HasPrefix(pattern, "^") {
				c.unknown = "path_regexp " + pattern
			}
			for _, p := range places {
				if p.exact {
					c.paths = append(c.paths, p.path)
				} else {
					c.paths = append(c.paths, p.path, strings.TrimSuffix(p.path, "/")+"/*")
				}
			}
		case "method":
			for _, m := range args {
				methods = append(methods, quoted(strings.ToUpper(m)))
			}
		case "header":
			switch {
			case len(args) == 2 && plainKey(args[0]) && !strings.ContainsAny(args[1], "{}"):
				headers = append(headers, quoted(args[0])+" = "+quoted(args[1]))
			default:
				c.unknown = "header " + strings.Join(args, " ")
			}
		case "query":
			for _, pair := range args {
				if k, v, ok := strings.Cut(pair, "="); ok && k != "" && !strings.ContainsAny(pair, "{}") {
					query = append(query, quoted(k)+" = "+quoted(v))
				} else {
					c.unknown = "query " + pair
				}
			}
		case "host":
			if len(args) == 1 && caddyName(args[0]) != "" {
				c.host = args[0]
			} else {
				c.unknown = "host " + strings.Join(args, " ")
			}
		case "file":
			c.file = "yes"
		case "not":
			if len(args) > 0 && args[0] == "file" || len(line.block) == 1 && len(line.block[0].words) > 0 && line.block[0].words[0] == "file" {
				c.file = "no"
			} else {
				c.unknown = strings.Join(line.words, " ")
			}
		case "protocol":
		default:
			c.unknown = strings.Join(line.words, " ")
		}
	}
	var parts []string
	if len(methods) > 0 {
		parts = append(parts, "methods = ["+strings.Join(methods, ", ")+"]")
	}
	if len(headers) > 0 {
		parts = append(parts, "headers = { "+strings.Join(headers, ", ")+" }")
	}
	if len(query) > 0 {
		parts = append(parts, "query = { "+strings.Join(query, ", ")+" }")
	}
	if len(parts) > 0 {
		c.match = "{ " + strings.Join(parts, ", ") + " }"
	}
	return c
}
