package scaffold

import (
	"path"
	"slices"
	"strconv"
)

// evidence is how certain the port of a candidate is.
type evidence int

const (
	unknown  evidence = iota // nothing says a port
	standard                 // the program's default
	sample                   // source code, or a sample of an environment file
	running                  // a process listens on it now
	stated                   // a command line or a configuration says it
)

// candidate is a server that a file or a process says something about. Several
// candidates can be the same server; decide tells.
type candidate struct {
	folder   string // where it runs; "." is the project's own
	kind     string // "vite": a comment in the Proxyfile; empty for what is not known
	what     string // the comment instead, where a kind has several names
	role     role
	label    string // of a service or process; empty takes the folder's
	name     string // the whole host name, where a file says one
	port     int    // on this machine; 0 where none is known
	evidence evidence
	address  string // of an upstream that is not a port of this machine; empty else
	https    bool
	file     string
	line     int
	// serves are the answers and routes that a configuration names.
	block
	// entries is true for a bundler whose configuration names scripts as entries.
	entries bool
	// favoured is true for what the project's own script starts.
	favoured bool
	// plainHTTP is true for an app that compares Origin with http://HOST and
	// ignores X-Forwarded-Proto.
	plainHTTP bool
	// fronts is how likely a container is what a browser should talk to: 2 for a
	// proxy, 1 for pages, 0 for the rest, -1 for what never is.
	fronts int
	// inside is the port in the container, context the folder it is built from,
	// mounts those that are mounted into it.
	inside  int
	context string
	mounts  []string
	image   string
}

// upstream is the candidate as a Proxyfile's upstream; empty where nothing is
// known.
func (c *candidate) upstream() string {
	switch {
	case c.address != "":
		return c.address
	case c.port == 0:
		return ""
	case c.https:
		return "https://localhost:" + strconv.Itoa(c.port)
	}
	return strconv.Itoa(c.port)
}

// subject is the candidate in a note.
func (c *candidate) subject() string {
	switch {
	case c.label != "":
		return c.label
	case c.folder != ".":
		return c.folder
	case c.title() != "":
		return c.title()
	}
	return c.file
}

// set gives c a port, unless a better one is known.
func (c *candidate) set(port int, e evidence, file string, line int) {
	if port == 0 || c.port != 0 && e <= c.evidence {
		return
	}
	c.port, c.evidence = port, e
	if file != "" {
		c.file, c.line = file, line
	}
}

// discovery collects what the readers find.
type discovery struct {
	*repository
	project    string // a DNS label
	candidates []*candidate
	sites      []*host // hosts that files name whole, in order
	found      []Found
	names      map[string]string // host names by folder, as portless gives them
	scriptOf   map[string]string // the script that portless runs, by folder
	containers map[string][]mapping
	services   []*service
	listening  []Listener
	dir        string
	usesJS     map[string]javascriptPackage
	appPorts   []*candidate
	// serviceBodies are what the service blocks say, by their names.
	serviceBodies map[string]string
	configured    map[string]bool // configurations of dev servers that were read
	unknown       []*candidate    // processes whose port is not known
}

func (d *discovery) add(c *candidate) *candidate {
	if c.folder == "" {
		c.folder = "."
	}
	d.candidates = append(d.candidates, c)
	return c
}

// of returns the candidates that run in folder and are not containers.
func (d *discovery) of(folder string) []*candidate {
	return slices.DeleteFunc(slices.Clone(d.candidates), func(c *candidate) bool { return c.folder != folder || c.role == container })
}

// kind is the candidate of one of kinds in folder; nil for none.
func (d *discovery) kind(folder string, kinds ...string) *candidate {
	for _, c := range d.of(folder) {
		if slices.Contains(kinds, c.kind) {
			return c
		}
	}
	return nil
}

// server is the candidate of a backend in folder that a command names, or a new
// one.
func (d *discovery) server(folder, kind string, r role, port int, file string) *candidate {
	for _, c := range d.of(folder) {
		if c.kind == kind || kindOf(c.kind) == kindOf(kind) && c.role >= api {
			if specific(kind) > specific(c.kind) {
				c.kind = kind
			}
			c.role = max(c.role, r)
			c.set(port, standard, "", 0)
			return c
		}
	}
	c := &candidate{folder: folder, kind: kind, role: r, file: file}
	c.set(port, standard, file, 0)
	return d.add(c)
}

// kindOf is the language of a kind of backend.
func kindOf(kind string) string {
	for language, kinds := range map[string][]string{
		"python": {"django", "flask", "fastapi", "uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "python", "quart", "litestar", "sanic", "streamlit", "starlette"},
		"ruby":   {"rails", "puma", "rack", "jekyll", "hanami", "bridgetown", "sinatra", "falcon"},
		"php":    {"laravel", "symfony", "php", "codeigniter", "cakephp"},
		"elixir": {"phoenix"},
		"jvm":    {"spring", "quarkus"},
		"go":     {"go"}, "rust": {"rust"}, "dotnet": {"dotnet"},
	} {
		if slices.Contains(kinds, kind) {
			return language
		}
	}
	return kind
}

// specific is 0 for a kind that says only how a framework is served.
func specific(kind string) int {
	if slices.Contains([]string{"uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "python", "puma", "rack", "php", "node", "falcon"}, kind) {
		return 0
	}
	return 1
}

func (d *discovery) say(file, text string) {
	if f := (Found{file, text}); !slices.Contains(d.found, f) {
		d.found = append(d.found, f)
	}
}

// parents are folder and those above it, up to the project's own.
func parents(folder string) []string {
	all := []string{folder}
	for folder != "." && folder != "/" {
		folder = path.Dir(folder)
		all = append(all, folder)
	}
	return all
}
