package scaffold

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// caddyfiles are in order of preference in each folder: the one for development
// first.
var caddyfiles = []string{"Caddyfile.dev", "Caddyfile.development", "Caddyfile.local", "dev.Caddyfile", "Caddyfile"}

// caddyfile is a Caddyfile while it is read.
type caddyfile struct {
	*discovery
	file, folder string
	snippets     map[string][]directive
	services     map[string]string // the service blocks of all files, by name
}

// caddySite is a site of a Caddyfile while it becomes hosts.
type caddySite struct {
	*caddyfile
	names  []string // its addresses
	host   *host
	hosts  []*host // host first, then those that matchers name
	root   string  // of file_server; empty if it cannot be served
	rooted bool    // the file sets a root
	spa    bool
	first  bool // a file of root answers before the upstream
	php    bool
	lent   bool                 // its routes went to a dev server's host
	lost   bool                 // its own answer could not be carried over
	at     map[string]condition // by the name of a matcher, "@api"
}

// readCaddyfiles reads the sites of Caddyfiles: their proxies, files, redirects
// and fixed responses.
func (d *discovery) readCaddyfiles() {
	services := map[string]string{}
	for _, folder := range d.folders(caddyfiles...) {
		file := d.in(folder, caddyfiles...)
		before := slices.Clone(*d.notes)
		c := &caddyfile{d, file, folder, map[string][]directive{}, services}
		list, _ := caddyDirectives(caddyWords(caddyExpand(string(d.text(file)), d.lookup(folder))), 0)
		sites := c.read(list)
		used := false
		for _, site := range sites {
			for _, h := range site.hosts {
				if site.keep(h) {
					d.addSite(h, strings.Join(site.names, " "))
					used = true
				}
			}
			used = used || site.lent
		}
		if used || len(d.candidates) == 0 {
			continue
		}
		*d.notes = before // what the file cannot carry over does not matter
		if len(sites) > 0 && !slices.ContainsFunc(sites, func(s *caddySite) bool { return s.php }) {
			d.notes.add(Note{File: file, Text: "its sites are left out: they lead to nothing that runs here"})
		}
	}
}

func (c *caddyfile) note(d directive, format string, args ...any) {
	c.notes.add(Note{c.file, d.line, fmt.Sprintf(format, args...)})
}

// read returns the sites of a file. Global options, the block without a name, are
// about ports and certificates, which devproxy manages itself.
func (c *caddyfile) read(list []directive) []*caddySite {
	var sites []*caddySite
	for i, d := range list {
		switch name := d.name(); {
		case name == "":
		case strings.HasPrefix(name, "(") && d.open:
			c.snippets[strings.Trim(name, "()")] = d.block
		case name == "import":
			c.noteImport(d)
		case !d.open: // a single site without braces
			return append(sites, c.site(directive{words: d.words, line: d.line, block: list[i+1:]}))
		default:
			sites = append(sites, c.site(d))
		}
	}
	return sites
}

func (c *caddyfile) site(d directive) *caddySite {
	s := &caddySite{caddyfile: c, host: &host{file: c.file, line: d.line}, at: map[string]condition{}}
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
	s.host.name, s.host.aliases = names[0], names[1:]
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

// hostName moves the address of a site under .localhost. A port alone means the
// project's own host.
func (c *caddyfile) hostName(address string) string {
	name := caddyName(address)
	if slices.Contains([]string{"", "localhost", "127.0.0.1", "0.0.0.0"}, name) {
		return c.project + suffix
	}
	return underLocalhost(name)
}

// caddyAddress matches the address of a site. Its group is the host.
var caddyAddress = regexp.MustCompile(`^(?:[^:/]+://)?((?:\*\.)?[^/:*{}\[\]]*)(?::(?:\{[^/]*\}|[^/{}]*))?(?:/.*)?$`)

// caddyName returns the host of a site's address; empty for a port alone.
func caddyName(address string) string { return submatch(caddyAddress, address) }

var localDomains = strings.Fields("localhost test local internal lan home dev example invalid localdomain")

// production reports whether the site has a name on the internet.
func (s *caddySite) production() bool {
	return slices.ContainsFunc(s.names, func(address string) bool {
		name := caddyName(address)
		last := name[strings.LastIndexByte(name, '.')+1:]
		return strings.Contains(name, ".") && !slices.Contains(localDomains, last) && !strings.HasPrefix(name, "127.")
	})
}

// keep reports whether a host of the site becomes one of the Proxyfile. A dev
// server comes before a site of production, and before one whose own answer is
// lost.
func (s *caddySite) keep(h *host) bool {
	others := s.any(func(c *candidate) bool { return c.rank() >= 45 || c.role == container && c.rank() >= 20 })
	switch {
	case !h.answers() && len(h.routes) == 0:
		return false
	case h.upstream != "" && !s.production(),
		s.any(func(c *candidate) bool { return h.leadsTo(c.upstream()) || !s.lost && h.routesTo(c.upstream()) }):
		return true
	case s.production() && others:
		return false
	case h.name == s.project+suffix && !h.answers() && others: // routes for the dev server's host
		s.lend(h)
		return false
	}
	return h.answers() || len(h.routes) > 0 && !s.lost
}

// lend gives the routes of a host without an answer to the dev server that has its
// name.
func (s *caddySite) lend(h *host) {
	main := decision{s.discovery}.pickMain()
	if main == nil {
		return
	}
	for _, r := range h.routes {
		if r.upstream != "" {
			main.addRoute(r)
		}
	}
	s.say(s.file, strings.Join(s.names, " "))
	s.lent = true
}

// collect reads what applies to a whole site or group, before its directives are
// read.
func (s *caddySite) collect(d directive) {
	switch name := d.name(); {
	case strings.HasPrefix(name, "@"):
		s.at[name] = s.matcher(d)
	case name == "root" && len(d.words) > 1:
		s.setRoot(d)
	case name == "try_files":
		s.spa = s.spa || strings.HasSuffix(d.last(), "/index.html")
	}
	s.php = s.php || d.name() == "php" || runsPHP(d)
}

// runsPHP reports whether a directive, or one in its block, hands requests to PHP.
func runsPHP(d directive) bool {
	return d.name() == "php_fastcgi" || d.name() == "php_server" || d.name() == "transport" && d.word(1) == "fastcgi" || slices.ContainsFunc(d.block, runsPHP)
}

// setRoot keeps the folder of file_server, if it is in the project.
func (s *caddySite) setRoot(d directive) {
	s.rooted, s.root = true, ""
	local := path.Join(s.folder, d.last())
	if !strings.ContainsAny(d.last(), "{}*") && !path.IsAbs(d.last()) && !strings.HasPrefix(local, "..") && s.isFolder(local) {
		s.root = local
	}
}
