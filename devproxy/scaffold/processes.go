package scaffold

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// procfiles are in order of preference. Only the first one of a folder counts:
// the others describe the same processes for other machines.
var procfiles = []string{"Procfile.dev", "Procfile.development", "Procfile.local", "Procfile.devel", "dev.Procfile", "Procfile"}

// readProcfiles adds the servers among the processes of Procfiles.
func (d *discovery) readProcfiles() {
	for _, folder := range d.folders(procfiles...) {
		file := d.in(folder, procfiles...)
		number := 0
		for line := range strings.Lines(string(d.text(file))) {
			number++
			name, text, found := strings.Cut(strings.TrimSpace(line), ":")
			if found && !strings.HasPrefix(name, "#") && !strings.ContainsAny(name, " \t") {
				d.process(folder, file, number, name, strings.TrimSpace(text))
			}
		}
	}
}

// readManagers adds the servers among the processes of process-compose, mprocs
// and pm2.
func (d *discovery) readManagers() {
	for _, file := range d.named("process-compose.yaml", "process-compose.yml", "mprocs.yaml", "mprocs.yml") {
		doc, _ := d.yaml(file)
		for _, f := range slices.Concat(doc.At("processes").Fields, doc.At("procs").Fields) {
			dir := cmp.Or(f.Value.At("cwd").Text, f.Value.At("working_dir").Text)
			d.managed(file, f.Value.Line, f.Name, commandLine(f.Value), dir)
		}
	}
	for _, file := range d.named("ecosystem.config.*") {
		config, _ := d.config(file, command{})
		for _, app := range config.At("apps").Items {
			script := app.At("script").Text
			text := script + " " + app.At("args").Text
			if slices.Contains([]string{".js", ".ts", ".mjs", ".cjs"}, path.Ext(script)) {
				text = "node " + text
			}
			for _, key := range []string{"env.PORT", "env_development.PORT"} {
				if port := app.At(key); port.Port() != 0 {
					text = "PORT=" + port.Text + " " + text
				}
			}
			d.managed(file, app.Line, app.At("name").Text, text, app.At("cwd").Text)
		}
	}
}

// commandLine returns a command line of a configuration: a string, a list of
// words, or an object that has one of them.
func commandLine(v javascript.Value) string {
	switch v.Kind {
	case javascript.Array:
		var words []string
		for _, word := range v.Items {
			words = append(words, commandLine(word))
		}
		return strings.Join(words, " ")
	case javascript.Object:
		for _, key := range []string{"run", "cmd", "shell", "command"} {
			if inner, ok := v.Field(key); ok {
				return commandLine(inner)
			}
		}
	}
	return v.Text
}

// managed adds a process that a manager runs in dir.
func (d *discovery) managed(file string, line int, name, text, dir string) {
	folder := path.Join(path.Dir(file), dir)
	if folder != "." && !d.has[folder] {
		folder = path.Dir(file)
	}
	d.process(folder, file, line, name, text)
}

// process adds the server that a named process starts.
func (d *discovery) process(folder, file string, line int, name, text string) {
	s := scripts{lines: d.packages[folder].lines, env: d.lookup(folder)}
	list := s.expand(text)
	made := d.started(folder, file, line, list)
	for _, c := range made {
		c.label = label(name)
		if c.kind == "node" || c.kind == "python" || c.kind == "go" {
			c.role = roleOf(name)
		}
		d.addProcess(c)
	}
	if len(made) > 0 {
		return
	}
	for _, cmd := range list { // an unknown program with a port
		if slices.ContainsFunc(cmd.words, func(w string) bool { return w == "watch" || w == "--watch" || w == "-w" }) {
			continue
		}
		if port := (program{env: "PORT"}).portIn(cmd); port != 0 && !nothingHTTP(port) {
			d.addProcess(&candidate{folder: folder, role: roleOf(name), label: label(name), port: port, evidence: stated, file: file, line: line})
			return
		}
	}
	web := name == "web" && text != ""
	if web || len(list) > 0 && (strings.Contains(text, "$PORT") || strings.Contains(text, "${PORT")) {
		d.unknown = append(d.unknown, &candidate{folder: folder, label: name, file: file, line: line})
	}
}

// roleOf returns the role of a process by its name.
func roleOf(name string) role {
	for _, word := range nameWords(name) {
		switch {
		case slices.Contains(mailCatchers, word):
			return tool
		case slices.Contains(pageWords, word):
			return app
		}
	}
	return api
}

// nameWords splits the name of a service, a process or a folder into its words.
func nameWords(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("-_.:", r) })
}
