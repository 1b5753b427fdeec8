package scaffold

import (
	"slices"
	"strings"
)

// procfiles are read in this order of preference; only the first of a folder
// counts, since the others describe the same processes elsewhere.
var procfiles = []string{"Procfile.dev", "Procfile.development", "Procfile.local", "Procfile.devel", "dev.Procfile", "Procfile"}

// readProcfiles takes the processes that serve something.
func (d *discovery) readProcfiles() {
	for _, folder := range d.folders(procfiles...) {
		file := d.in(folder, procfiles...)
		number := 0
		for line := range strings.Lines(string(d.text(file))) {
			number++
			name, text, found := strings.Cut(strings.TrimSpace(line), ":")
			if !found || strings.HasPrefix(name, "#") || strings.ContainsAny(name, " \t") {
				continue
			}
			d.process(folder, file, number, name, strings.TrimSpace(text))
		}
	}
}

// process adds the server that a named process starts.
func (d *discovery) process(folder, file string, line int, name, text string) {
	s := d.usesJS[folder].scripts
	if s.lines == nil {
		s = scripts{lines: map[string]scriptLine{}}
	}
	s.env = func(name string) (string, bool) { return d.variable(folder, name) }
	list := s.expand(text)
	made := d.started(folder, file, line, list)
	for _, c := range made {
		c.label = label(name)
		if c.kind == "node" || c.kind == "python" || c.kind == "go" {
			c.role = roleOf(name)
		}
		d.merge(c)
	}
	if len(made) > 0 {
		return
	}
	for _, cmd := range list { // a program that is not known, with a port
		if slices.ContainsFunc(cmd.words, func(w string) bool { return w == "watch" || w == "--watch" || w == "-w" }) {
			continue
		}
		generic := program{env: "PORT"}
		if port := generic.portIn(cmd); port != 0 && !nothingHTTP(port) {
			d.merge(&candidate{folder: folder, role: roleOf(name), label: label(name), port: port, evidence: stated, file: file, line: line})
			return
		}
	}
	if name == "web" || strings.Contains(text, "$PORT") || strings.Contains(text, "${PORT") {
		if len(list) > 0 || name == "web" && text != "" {
			d.unknown = append(d.unknown, &candidate{folder: folder, label: name, file: file, line: line})
		}
	}
}

// roleOf is the role of a process by its name.
func roleOf(name string) role {
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' || r == ':' }) {
		switch {
		case slices.Contains(mailCatchers, word):
			return tool
		case slices.Contains(pageWords, word):
			return app
		}
	}
	return api
}

// merge adds c, or gives its port to the server of the same kind in the same
// folder.
func (d *discovery) merge(c *candidate) {
	for _, have := range d.of(c.folder) {
		if c.kind != "" && (have.kind == c.kind || kindOf(have.kind) == kindOf(c.kind) && have.role >= api && c.role >= api) && (have.label == "" || have.label == c.label) {
			have.label = c.label
			if c.evidence == stated {
				have.evidence = min(have.evidence, sample) // what starts it all says more than a script
			}
			have.set(c.port, c.evidence, c.file, c.line)
			return
		}
	}
	d.add(c)
}
