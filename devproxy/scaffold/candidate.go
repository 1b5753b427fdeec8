package scaffold

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// role is a server's purpose in a project. A higher role is more likely the
// project's own host.
type role int

const (
	assets    role = iota // serves scripts to the pages of a backend
	tool                  // a mail catcher, an admin page, a component workshop
	container             // published by compose, and otherwise unknown
	docs                  // a documentation site
	api                   // a server that may have no pages
	app                   // serves pages
)

// evidence says how certain the port of a candidate is.
type evidence int

const (
	unknown  evidence = iota // no port is known
	standard                 // the program's default
	sample                   // source code, or an example of an environment file
	running                  // a process listens on it now
	stated                   // a command line or a configuration sets it
)

// candidate is a server that a file or a process mentions. Several candidates can
// be the same server; decide merges them.
type candidate struct {
	folder   string // where it runs; "." is the project's own
	kind     string // "vite": a comment in the Proxyfile; empty if unknown
	what     string // the comment instead, for a kind that has several names
	role     role
	label    string // of a service or process; empty uses the folder's
	name     string // the complete host name, if a file sets one
	port     int    // on this machine; 0 if unknown
	evidence evidence
	https    bool
	file     string
	line     int
	// block has the answers and routes that a configuration names.
	block
	// entries is true for a bundler whose configuration names scripts as entries.
	entries bool
	// favoured is true for a server that the project's own script starts.
	favoured bool
	// plainHTTP is true for an app that compares Origin with http://HOST and
	// ignores X-Forwarded-Proto.
	plainHTTP bool
	// fronts is how likely browsers talk to a container: 2 for a proxy, 1 for
	// pages, 0 for the rest, -1 for a service that is never the first choice.
	fronts int
	// inside is the port in the container, context the folder that it is built
	// from, and mounts are those mounted into it.
	inside  int
	context string
	mounts  []string
	image   string
	// start is how devproxy can start the server; nil if that is unknown, with why.
	start *start
	why   string
	// from and program are the command of the candidate in a file, without wrappers.
	from    command
	program program
	// hotReload says what to change so that hot reload does not bypass devproxy; nil if
	// nothing.
	hotReload *Note
	// keepsPort is true if other files name the port.
	keepsPort bool
	// preferred is true if the file with the command starts everything.
	preferred bool
	// running is true if a process listens on the port now.
	running bool
}

// upstream returns the candidate as an upstream of a Proxyfile; empty if its port
// is unknown.
func (c *candidate) upstream() string {
	switch {
	case c.port == 0:
		return ""
	case c.https:
		return "https://localhost:" + strconv.Itoa(c.port)
	}
	return strconv.Itoa(c.port)
}

// set sets the port, unless a better one is known.
func (c *candidate) set(port int, e evidence, file string, line int) {
	if port == 0 || c.port != 0 && e <= c.evidence {
		return
	}
	c.port, c.evidence = port, e
	if file != "" {
		c.file, c.line = file, line
	}
}

// state sets the port that a configuration has, unless a better one is known.
func (c *candidate) state(port javascript.Value, file string) {
	c.set(port.Port(), stated, file, port.Line)
}

// replace sets the port in place of the known one.
func (c *candidate) replace(port int, e evidence, file string, line int) {
	c.port = 0
	c.set(port, e, file, line)
}

// title is what people call a server.
func (c *candidate) title() string { return cmp.Or(c.what, c.kind) }

// subject names the candidate in a note.
func (c *candidate) subject() string {
	if c.label == "" && c.folder != "." {
		return c.folder
	}
	return cmp.Or(c.label, c.title(), c.file)
}

// place says where a candidate comes from, for a note.
func (c *candidate) place() string {
	if c.folder != "." && c.role != container {
		return c.folder
	}
	return c.file
}

// describe describes a server, whose port or command is known, in the list of findings.
func (c *candidate) describe() string {
	title := printable(cmp.Or(c.title(), c.label, "a server"))
	if c.start != nil {
		return title + ": " + printable(c.start.text())
	}
	return fmt.Sprintf("%s on %d", title, c.port)
}

// languages are the kinds of backends by language.
var languages = map[string]string{
	"python": "django flask fastapi uvicorn gunicorn hypercorn granian daphne python quart litestar sanic streamlit starlette",
	"ruby":   "rails puma rack jekyll hanami bridgetown sinatra falcon",
	"php":    "laravel symfony php codeigniter cakephp",
	"elixir": "phoenix",
	"jvm":    "spring quarkus",
}

// language returns the language of a kind of backend; the kind itself for others.
func language(kind string) string {
	for language, kinds := range languages {
		if slices.Contains(strings.Fields(kinds), kind) {
			return language
		}
	}
	return kind
}

// generic are kinds that only say how a framework is served.
var generic = strings.Fields("uvicorn gunicorn hypercorn granian daphne python puma rack php node falcon")

// findings are the servers that the readers have found so far.
type findings struct {
	candidates []*candidate
	unknown    []*candidate // processes whose port is not known
	others     []*candidate // started with the servers, and without a host
	sites      []*host      // complete hosts of files, in order
	found      []Found
	published  map[string][]mapping // the ports of containers, by each of their names
}

func (f *findings) add(c *candidate) *candidate {
	if c.folder == "" {
		c.folder = "."
	}
	f.candidates = append(f.candidates, c)
	return c
}

// any reports whether takes is true for one of the candidates.
func (f *findings) any(takes func(*candidate) bool) bool {
	return slices.ContainsFunc(f.candidates, takes)
}

func (f *findings) drop(takes func(*candidate) bool) {
	f.candidates = slices.DeleteFunc(f.candidates, takes)
}

// of returns the candidates that run in folder, without containers.
func (f *findings) of(folder string) []*candidate {
	return slices.DeleteFunc(slices.Clone(f.candidates), func(c *candidate) bool { return c.folder != folder || c.role == container })
}

// kind returns the candidate of one of kinds in folder; nil if there is none.
func (f *findings) kind(folder string, kinds ...string) *candidate {
	for _, c := range f.of(folder) {
		if slices.Contains(kinds, c.kind) {
			return c
		}
	}
	return nil
}

// server returns the candidate of a backend in folder that a command starts;
// otherwise a new one.
func (f *findings) server(folder, kind string, r role, port int, file string) *candidate {
	for _, c := range f.of(folder) {
		if c.kind == kind || language(c.kind) == language(kind) && c.role >= api {
			if slices.Contains(generic, c.kind) && !slices.Contains(generic, kind) {
				c.kind = kind
			}
			c.role = max(c.role, r)
			c.set(port, standard, "", 0)
			return c
		}
	}
	c := &candidate{folder: folder, kind: kind, role: r, file: file}
	c.set(port, standard, file, 0)
	return f.add(c)
}

// addStarted adds c, or its port to the candidate of the same server.
func (f *findings) addStarted(c *candidate) {
	for _, have := range f.of(c.folder) {
		if have.kind == c.kind && (have.port == c.port || have.evidence < stated || c.evidence < stated) {
			have.set(c.port, c.evidence, c.file, c.line)
			have.startWith(c.start)
			have.hotReload = cmp.Or(have.hotReload, c.hotReload)
			return
		}
	}
	f.add(c)
}

// addProcess adds c, or its label and port to the server of the same kind in the
// same folder.
func (f *findings) addProcess(c *candidate) {
	for _, have := range f.of(c.folder) {
		same := have.kind == c.kind || language(have.kind) == language(c.kind) && have.role >= api && c.role >= api
		if c.kind != "" && same && (have.label == "" || have.label == c.label) {
			have.label = c.label
			if c.evidence == stated {
				have.evidence = min(have.evidence, sample) // what starts everything overrides a single script
			}
			have.set(c.port, c.evidence, c.file, c.line)
			if c.start != nil && (have.start == nil || c.preferred && (c.start.moves || !have.start.moves)) {
				have.start = c.start
			}
			return
		}
	}
	f.add(c)
}

// highest returns the candidate with the highest role.
func highest(list []*candidate) *candidate {
	return slices.MaxFunc(list, func(a, b *candidate) int { return cmp.Compare(a.role, b.role) })
}

// addSite adds a host that a file describes completely.
func (f *findings) addSite(h *host, text string) {
	f.sites = append(f.sites, h)
	f.say(h.file, text)
}

// say adds text to the findings in file.
func (f *findings) say(file, text string) {
	if found := (Found{file, text}); !slices.Contains(f.found, found) {
		f.found = append(f.found, found)
	}
}
