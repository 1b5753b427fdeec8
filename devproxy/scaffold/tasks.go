package scaffold

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// taskNames are the tasks that start a dev server.
var taskNames = strings.Fields("dev run serve server start up watch develop web run-dev dev-server runserver run-server start-dev dev:web dev:api api backend frontend local live default")

// readTasks adds the servers that task runners and scripts start.
func (d *discovery) readTasks() {
	for _, file := range d.named("Makefile", "makefile", "GNUmakefile") {
		d.runTasks(file, makefile.tasks(strings.ReplaceAll(string(d.text(file)), "\\\n", " ")))
	}
	for _, file := range d.named("justfile", "Justfile", ".justfile") {
		d.runTasks(file, justfile.tasks(string(d.text(file))))
	}
	for _, file := range d.named("Taskfile.yml", "Taskfile.yaml", "taskfile.yml") {
		doc, _ := d.yaml(file)
		d.runTasks(file, taskfileTasks(doc))
	}
	for _, file := range d.named("mise.toml", ".mise.toml", "pyproject.toml", "Pipfile") {
		d.runTasks(file, tomlTasks(d.toml(file)))
	}
	for _, file := range d.named("dev.sh", "start.sh", "run.sh", "serve.sh", "dev", "server") {
		folder := path.Dir(file)
		inScripts := oneOf("bin|script|scripts", path.Base(folder))
		if inScripts {
			folder = path.Dir(folder)
		}
		if inScripts || path.Ext(file) == ".sh" {
			d.runTask(folder, file, task{line: 1, text: string(d.text(file))})
		}
	}
	d.readManagers()
}

// task is a task of a task runner.
type task struct {
	name, text string
	line       int
	vars       map[string]string
}

func (d *discovery) runTasks(file string, list []task) {
	for _, t := range list {
		if slices.Contains(taskNames, t.name) {
			d.runTask(path.Dir(file), file, t)
		}
	}
}

// runTask adds the servers of a task that are not known yet.
func (d *discovery) runTask(folder, file string, t task) {
	s := scripts{d.packages[folder].lines, d.lookup(folder).with(t.vars)}
	made := d.started(folder, file, t.line, s.expand(t.text))
	for _, c := range made {
		if len(made) == 1 {
			d.giveProcess(c, folder, strings.TrimSpace(t.text), false)
		}
		if c.port != 0 || len(d.of(c.folder)) == 0 {
			d.addProcess(c)
		}
	}
}

// recipeSyntax is that of a file in which the commands of a task are indented.
type recipeSyntax struct {
	indent   string         // the characters that begin a command
	target   *regexp.Regexp // a name, and parameters
	variable *regexp.Regexp // a name and a value
	use      *regexp.Regexp // of a variable
}

var (
	makefile = recipeSyntax{
		"\t", regexp.MustCompile(`^([A-Za-z0-9_.:/-]+)\s*:(?:[^=]|$)`),
		regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*[:?+]?=\s*(.*?)(?: #.*)?$`),
		regexp.MustCompile(`\$[({]([A-Za-z_][A-Za-z0-9_]*)[)}]`),
	}
	justfile = recipeSyntax{
		" \t", regexp.MustCompile(`^@?([A-Za-z0-9_-]+)((?:\s+[^:=]*(?:='[^']*'|="[^"]*")?)*)\s*:(?:[^=]|$)`),
		regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_-]*)\s*:=\s*["']?([^"']*)["']?$`),
		regexp.MustCompile(`\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`),
	}
	templateUse = regexp.MustCompile(`\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`) // in a Taskfile
	// parameterDefault matches a parameter of a recipe with its default.
	parameterDefault = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_-]*)\s*=\s*["']([^"']*)["']`)
)

// tasks reads the recipes of a file.
func (s recipeSyntax) tasks(text string) []task {
	var list []task
	vars := map[string]string{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if strings.Contains(s.indent, line[:1]) {
			if len(list) > 0 {
				command := strings.ReplaceAll(strings.TrimLeft(trimmed, "@-+"), "$$", "$")
				list[len(list)-1].text += s.use.ReplaceAllString(command, "$${$1}") + "\n"
			}
		} else if m := s.variable.FindStringSubmatch(trimmed); m != nil {
			vars[m[1]] = m[2]
		} else if m := s.target.FindStringSubmatch(trimmed); m != nil {
			for _, parameter := range parameterDefault.FindAllStringSubmatch(m[len(m)-1], -1) {
				vars[parameter[1]] = parameter[2]
			}
			list = append(list, task{name: m[1], line: number, vars: vars})
		}
	}
	return list
}

// taskfileTasks reads the tasks of a Taskfile.yml.
func taskfileTasks(doc javascript.Value) []task {
	var list []task
	vars := map[string]string{}
	for _, f := range slices.Concat(doc.At("vars").Fields, doc.At("env").Fields) {
		vars[f.Name] = f.Value.Text
	}
	for _, f := range doc.At("tasks").Fields {
		t, body := task{name: f.Name, line: f.Value.Line, vars: vars}, f.Value
		if dir := body.At("dir").Text; dir != "" {
			t.text = "cd " + dir + "\n"
		}
		for _, cmd := range slices.Concat([]javascript.Value{body, body.At("cmds")}, body.Items, body.At("cmds").Items) {
			t.text += templateUse.ReplaceAllString(cmd.Text+cmd.At("cmd").Text, "$${$1}") + "\n"
		}
		list = append(list, t)
	}
	return list
}

// tomlTasks reads the tasks of mise, poe, taskipy, pdm, hatch, rye and pipenv.
func tomlTasks(config javascript.Value) []task {
	var list []task
	for _, at := range strings.Fields("tasks tool.poe.tasks tool.taskipy.tasks tool.pdm.scripts tool.hatch.envs.default.scripts tool.rye.scripts scripts") {
		for _, f := range config.At(at).Fields {
			list = append(list, task{name: f.Name, text: commandLine(f.Value)})
		}
	}
	return list
}

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
	s := scripts{d.packages[folder].lines, d.lookup(folder)}
	list := s.expand(text)
	made := d.started(folder, file, line, list)
	for _, c := range made {
		c.label = label(name)
		if len(made) == 1 {
			c.preferred = path.Base(file) != "Procfile"
			d.giveProcess(c, folder, text, c.preferred)
		}
		if c.kind == "node" || c.kind == "python" || c.kind == "go" {
			c.role = roleOf(name)
		}
		d.addProcess(c)
	}
	if len(made) > 0 {
		return
	}
	for _, cmd := range list { // an unknown program with a port
		if port := (program{env: "PORT"}).portIn(cmd); port != 0 && !nothingHTTP(port) && !oneOf("watch|--watch|-w", cmd.words...) {
			c := &candidate{folder: folder, role: roleOf(name), label: label(name), port: port, evidence: stated, file: file, line: line}
			d.giveProcess(c, folder, text, true)
			d.addProcess(c)
			return
		}
	}
	c := &candidate{folder: folder, label: label(name), role: roleOf(name), file: file, line: line}
	if path.Base(file) != "Procfile" && !runsContainers(list) {
		c.startWith(d.startOf(folder, text))
	}
	switch serves := name == "web" || strings.Contains(text, "PORT"); {
	case c.start == nil:
	case serves: // on the port in PORT, or wherever it listens
		c.start.moves = true
		d.addProcess(c)
		return
	default:
		c.start.moves, c.what = true, name+" of "+path.Base(file)
		d.others = append(d.others, c)
		return
	}
	if name == "web" && text != "" || len(list) > 0 && (strings.Contains(text, "$PORT") || strings.Contains(text, "${PORT")) {
		d.unknown = append(d.unknown, &candidate{folder: folder, label: name, file: file, line: line})
	}
}

// runsContainers reports whether a process starts containers, whose ports are published, or
// not exactly one program.
func runsContainers(list []command) bool {
	return len(list) != 1 || slices.Contains(fromFiles, programName(list[0].words[0]))
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
