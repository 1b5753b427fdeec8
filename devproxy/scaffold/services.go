package scaffold

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// startedService is a service block with a command.
type startedService struct {
	name  string
	what  string // a comment; empty if a host has it
	start *start
	used  bool // a host or a route leads to it
	attributes
	// upstream is the port in place of which a person can write it; 0 if unknown.
	port int
}

// serviceNames gives services their names.
type serviceNames map[string]bool

var serviceName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// take returns the first of names that is valid and free.
func (taken serviceNames) take(names ...string) string {
	for i := 1; ; i++ {
		for _, name := range names {
			if i > 1 {
				name += "-" + strconv.Itoa(i)
			}
			if serviceName.MatchString(name) && !taken[name] {
				taken[name] = true
				return name
			}
		}
	}
}

// keepPorts keeps the ports of servers that other files name: the configuration of another
// server, or an environment file.
func (d decision) keepPorts() {
	kept := map[int]bool{}
	for _, c := range d.candidates {
		kept[c.port] = kept[c.port] || c.role == container || c.start == nil || c.isFixed()
	}
	for _, c := range d.candidates {
		if c.start == nil || c.isFixed() || c.port == 0 || kept[c.port] && !c.https {
			continue
		}
		named := d.any(func(o *candidate) bool { return o != c && o.routesTo(c.upstream()) })
		if named || c.https || d.mentioned(c.port) {
			kept[c.port], c.keepsPort = true, true
		}
	}
}

// mentioned reports whether an environment file has a URL with a port of this machine.
func (d decision) mentioned(port int) bool {
	pattern := regexp.MustCompile(`(?i)(?:localhost|127\.0\.0\.1|0\.0\.0\.0):` + strconv.Itoa(port) + `\b`)
	return slices.ContainsFunc(d.files, func(file string) bool {
		return strings.HasPrefix(path.Base(file), ".env") && pattern.Match(d.text(file))
	})
}

// isFixed reports whether a server can't be told its port, which a file states. A port that
// is less certain is left out: devproxy finds where the server listens.
func (c *candidate) isFixed() bool { return c.start != nil && !c.start.moves && c.evidence >= stated }

// apart reports whether two servers with one port are different ones, of which devproxy
// gives one another port.
func apart(a, b *candidate) bool {
	moves := func(c *candidate) bool { return c.start != nil && c.start.moves && !c.keepsPort && !c.https }
	return moves(a) || moves(b)
}

// service returns the block that starts c; nil if devproxy does not know how.
func (c *candidate) service(taken serviceNames, names ...string) *startedService {
	s := c.start
	if s == nil {
		return nil
	}
	base := label(path.Base(s.folder))
	if s.folder == "." {
		base = ""
	}
	made := &startedService{name: taken.take(append(names, c.label, base, label(c.title()), "server")...), port: c.port, start: s}
	if upstream := c.upstream(); upstream != "" && (c.keepsPort || c.https || c.isFixed()) {
		made.set("upstream", upstreamValue(upstream))
		made.port = 0
	}
	made.set("command", quoted(s.text()))
	if s.folder != "." {
		dir := s.folder
		if strings.HasPrefix(dir, "~") { // which is not a home folder here
			dir = "./" + dir
		}
		made.set("dir", quoted(dir))
	}
	env := (&block{})
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		env.setEntry("env", name, quoted(s.env[name]))
	}
	made.attributes = append(made.attributes, env.attributes...)
	return made
}

// services gives the hosts their services, and returns the blocks. startedBy has the
// candidate of a host.
func (d decision) services(hosts []*host, startedBy map[*host]*candidate) []*startedService {
	taken := serviceNames{}
	for _, h := range hosts {
		taken[h.service] = true
		for _, r := range h.routes {
			taken[r.service] = true
		}
	}
	var list []*startedService
	byUpstream := map[string]string{}
	add := func(c *candidate, names ...string) string {
		s := c.service(taken, names...)
		if s == nil {
			return ""
		}
		list = append(list, s)
		if upstream := c.upstream(); upstream != "" && byUpstream[upstream] == "" {
			byUpstream[upstream] = s.name
		}
		return s.name
	}
	for _, h := range hosts {
		c := startedBy[h]
		if c == nil || h.service != "" {
			continue
		}
		first, _, _ := strings.Cut(h.name, ".")
		if h.name == d.project+suffix {
			first = "web"
			switch {
			case c.role == api && c.folder == ".":
				first = "api"
			case c.role == api:
				first = folderLabel(c.folder)
			}
		}
		h.service = add(c, first)
		h.started = h.service != ""
	}
	ofHosts := maps.Clone(byUpstream)
	for _, c := range d.others {
		used := c.port != 0 && slices.ContainsFunc(hosts, func(h *host) bool { return h.leadsTo(c.upstream()) || h.routesTo(c.upstream()) })
		if !used && len(list) == 0 {
			continue // the person starts the servers, and so what they need
		}
		var names []string
		if c.role == api && c.folder == "." && c.label == "" {
			names = []string{"api"}
		}
		if add(c, names...) != "" {
			last := list[len(list)-1]
			last.what, last.used = cmp.Or(c.title(), last.name), used
		}
	}
	for _, h := range hosts {
		// A server that a person starts is not the one of another host, although both would
		// have the same port if devproxy did not give that one another.
		if c := startedBy[h]; c == nil || c.start != nil || ofHosts[h.upstream] == "" {
			h.use(byUpstream)
		}
		for i := range h.routes {
			h.routes[i].use(byUpstream)
		}
	}
	return list
}

// use replaces an upstream by the service that listens there.
func (b *block) use(byUpstream map[string]string) {
	if name := byUpstream[b.upstream]; name != "" && b.upstream != "" && b.service == "" {
		b.service, b.started = name, true
	}
}

// write writes the block. The first one of a file tells how to do without it.
func (s *startedService) write(out *strings.Builder, first bool) {
	out.WriteByte('\n')
	switch {
	case s.what != "" && s.used:
		out.WriteString("# " + printable(s.what) + "\n")
	case s.what != "":
		out.WriteString("# " + printable(s.what) + ", which no host leads to\n")
	case first:
		out.WriteString("# devproxy up starts this.")
		if s.port != 0 {
			out.WriteString(" To start it yourself, use upstream = " + strconv.Itoa(s.port) + " instead.")
		}
		out.WriteByte('\n')
	}
	writeBlock(out, "service "+quoted(s.name), s.attributes, nil, false)
}
