package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// draft is the Proxyfile while it is put together.
type draft struct {
	project string // a DNS label
	hosts   []*host
	found   []Found
	notes   []Note
}

// host is a block of the Proxyfile to be.
type host struct {
	// name is the whole name where a file gave one. Else the host is under
	// the project's: by label, or the project's own where label is empty.
	name, label string
	upstream    string // as in a Proxyfile: a port, a URL or a list; may be empty
	files       string // a folder, instead; may be empty
	what        string // a comment: "vite"
	cors        bool
	compress    bool
	routes      []route
	file        string
	line        int
}

// route is a block inside of a host, with one answer.
type route struct {
	path                     string
	upstream, files          string
	redirect                 string
	status                   int // of redirect or respond; 0 is redirect's own
	respond                  bool
	body                     string
	rewrite                  string
	strip, skipVerify, exact bool
}

// answer is where the route leads, in a word.
func (r route) answer() string {
	switch {
	case r.files != "":
		return "files " + r.files
	case r.redirect != "":
		return "redirect " + r.redirect
	case r.respond:
		return "respond " + strconv.Itoa(r.status)
	}
	return r.upstream
}

func (d *draft) note(file string, line int, text string) {
	if n := (Note{file, line, text}); !slices.Contains(d.notes, n) { // once for all paths of a matcher
		d.notes = append(d.notes, n)
	}
}

func (d *draft) say(file, format string, args ...any) {
	d.found = append(d.found, Found{file, fmt.Sprintf(format, args...)})
}

// add takes h, unless its port has a host already: then one server was
// described twice, and what the second says more is merged into the first.
func (d *draft) add(h *host) {
	if same := d.serving(h.upstream); same != nil {
		same.merge(d, h)
		return
	}
	d.hosts = append(d.hosts, h)
}

func (d *draft) serving(upstream string) *host {
	i := slices.IndexFunc(d.hosts, func(h *host) bool { return upstream != "" && h.upstream == upstream })
	if i < 0 {
		return nil
	}
	return d.hosts[i]
}

func (h *host) merge(d *draft, more *host) {
	if more.what != "" && h.what != "" && path.Dir(more.file) != path.Dir(h.file) {
		d.note(more.file, more.line, fmt.Sprintf("%s is the port of %s already: give one of the two another port", more.upstream, h.file))
		return
	}
	if h.what == "" {
		h.what = more.what
	}
	for _, r := range more.routes {
		h.route(d, more.file, more.line, r)
	}
}

func (h *host) route(d *draft, file string, line int, r route) {
	for _, have := range h.routes {
		if have.path == r.path && have.exact == r.exact {
			if have != r {
				d.note(file, line, fmt.Sprintf("route %q is there already, and goes to %s", r.path, have.answer()))
			}
			return
		}
	}
	h.routes = append(h.routes, r)
}

// routed reports whether a route goes to upstream: such a service has its place.
func (d *draft) routed(upstream string) bool {
	for _, h := range d.hosts {
		for _, r := range h.routes {
			if r.upstream == upstream {
				return true
			}
		}
	}
	return false
}

// settle gives every host its name, and drops a second of the same name.
func (d *draft) settle() {
	d.pickMain()
	seen := map[string]*host{}
	d.hosts = slices.DeleteFunc(d.hosts, func(h *host) bool {
		if h.name == "" {
			h.name = d.project + suffix
			if h.label != "" {
				h.name = h.label + "." + h.name
			}
		}
		first := seen[h.name]
		if first != nil {
			d.note(h.file, h.line, fmt.Sprintf("%s is there already, by %s", h.name, first.file))
			return true
		}
		seen[h.name] = h
		return false
	})
}

// pickMain makes one host the project's own: what looks like its front, else
// the first.
func (d *draft) pickMain() {
	var open []*host
	for _, h := range d.hosts {
		if h.name == "" && h.label == "" || h.name == d.project+suffix {
			return
		}
		if h.name == "" {
			open = append(open, h)
		}
	}
	if len(open) == 0 || len(open) < len(d.hosts) {
		return
	}
	best := open[0]
	for _, h := range open {
		if slices.Contains([]string{"web", "app", "frontend", "client", "www", "site", "ui"}, h.label) {
			best = h
			break
		}
	}
	best.label = ""
	d.hosts = append([]*host{best}, slices.DeleteFunc(d.hosts, func(h *host) bool { return h == best })...)
}

const suffix = ".localhost"

// label is text as one label of a name (RFC 1035 section 2.3.4); "app" where
// nothing of it can stand in one.
func label(text string) string {
	const longest = 63
	var out strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			out.WriteRune(r)
		case out.Len() > 0 && !strings.HasSuffix(out.String(), "-"):
			out.WriteByte('-')
		}
	}
	name := out.String()
	if name = strings.Trim(name[:min(len(name), longest)], "-"); name == "" {
		return "app"
	}
	return name
}

// underLocalhost is a name of another tool under .localhost: "shop" and
// "shop.test" are "shop.localhost", "api.example.com" is
// "api.example.localhost".
func underLocalhost(name string) string {
	name = strings.Trim(strings.ToLower(name), ".")
	if name == "localhost" {
		return name
	}
	parts := strings.Split(strings.TrimSuffix(name, suffix), ".")
	if !strings.HasSuffix(name, suffix) && len(parts) > 1 {
		parts = parts[:len(parts)-1]
	}
	const most = 3 // labels: 253 characters hold three of any length
	parts = parts[max(0, len(parts)-most):]
	for i, part := range parts {
		parts[i] = label(part)
	}
	return strings.Join(parts, ".") + suffix
}

// portOf is text as a port; 0 when it is none.
func portOf(text string) int {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}
