package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v4"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// taskNames are the tasks that start a dev server.
var taskNames = []string{"dev", "run", "serve", "server", "start", "up", "watch", "develop", "web", "run-dev", "dev-server", "runserver", "run-server", "start-dev", "dev:web", "dev:api", "api", "backend", "frontend", "local", "live", "default"}

// readTasks takes the servers that task runners and process managers start.
func (d *discovery) readTasks() {
	for _, file := range d.named("Makefile", "makefile", "GNUmakefile") {
		d.tasks(file, makeTasks(string(d.text(file))))
	}
	for _, file := range d.named("justfile", "Justfile", ".justfile") {
		d.tasks(file, justTasks(string(d.text(file))))
	}
	for _, file := range d.named("Taskfile.yml", "Taskfile.yaml", "taskfile.yml") {
		d.tasks(file, taskfileTasks(d.text(file)))
	}
	for _, file := range d.named("mise.toml", ".mise.toml", "pyproject.toml", "Pipfile") {
		d.tasks(file, tomlTasks(d.text(file)))
	}
	for _, file := range d.named("dev.sh", "start.sh", "run.sh", "serve.sh", "dev", "server") {
		if dir := path.Base(path.Dir(file)); path.Ext(file) == ".sh" || dir == "bin" || dir == "script" || dir == "scripts" {
			folder := path.Dir(file)
			if dir == "bin" || dir == "script" || dir == "scripts" {
				folder = path.Dir(folder)
			}
			d.runTask(folder, file, 1, string(d.text(file)), nil)
		}
	}
	d.readManagers()
}

// task is one of a task runner's.
type task struct {
	name, text string
	line       int
	vars       map[string]string
}

func (d *discovery) tasks(file string, list []task) {
	for _, t := range list {
		if slices.Contains(taskNames, t.name) {
			d.runTask(path.Dir(file), file, t.line, t.text, t.vars)
		}
	}
}

// runTask adds the servers of a command line that are not known yet.
func (d *discovery) runTask(folder, file string, line int, text string, vars map[string]string) {
	s := scripts{lines: d.usesJS[folder].lines, env: func(name string) (string, bool) {
		if v, set := vars[name]; set {
			return v, true
		}
		return d.variable(folder, name)
	}}
	for _, c := range d.started(folder, file, line, s.expand(text)) {
		if c.port != 0 || len(d.of(c.folder)) == 0 {
			d.merge(c)
		}
	}
}

var (
	makeTarget   = regexp.MustCompile(`^([A-Za-z0-9_.:/-]+)\s*:(?:[^=]|$)`)
	makeVariable = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*[:?+]?=\s*(.*)$`)
	makeUse      = regexp.MustCompile(`\$[({]([A-Za-z_][A-Za-z0-9_]*)[)}]`)
)

// makeTasks reads the recipes of a Makefile.
func makeTasks(text string) []task {
	var list []task
	vars := map[string]string{}
	number := 0
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "\t"):
			if len(list) > 0 {
				command := strings.TrimLeft(strings.TrimSpace(line), "@-+")
				list[len(list)-1].text += makeUse.ReplaceAllString(strings.ReplaceAll(command, "$$", "$"), "$${$1}") + "\n"
			}
		case makeVariable.MatchString(line):
			m := makeVariable.FindStringSubmatch(line)
			value, _, _ := strings.Cut(m[2], " #")
			vars[m[1]] = strings.TrimSpace(value)
		case makeTarget.MatchString(line):
			list = append(list, task{name: makeTarget.FindStringSubmatch(line)[1], line: number, vars: vars})
		}
	}
	return list
}

var (
	justRecipe   = regexp.MustCompile(`^@?([A-Za-z0-9_-]+)((?:\s+[^:=]*(?:='[^']*'|="[^"]*")?)*)\s*:(?:[^=]|$)`)
	justVariable = regexp.MustCompile(`^(?:export\s+)?([A-Za-z_][A-Za-z0-9_-]*)\s*:=\s*["']?([^"']*)["']?$`)
	justDefault  = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_-]*)\s*=\s*["']([^"']*)["']`)
	justUse      = regexp.MustCompile(`\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`)
)

// justTasks reads the recipes of a justfile.
func justTasks(text string) []task {
	var list []task
	vars := map[string]string{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case line[0] == ' ' || line[0] == '\t':
			if len(list) > 0 {
				list[len(list)-1].text += justUse.ReplaceAllString(strings.TrimLeft(trimmed, "@-"), "$${$1}") + "\n"
			}
		case justVariable.MatchString(trimmed):
			m := justVariable.FindStringSubmatch(trimmed)
			vars[m[1]] = m[2]
		case justRecipe.MatchString(trimmed):
			m := justRecipe.FindStringSubmatch(trimmed)
			for _, parameter := range justDefault.FindAllStringSubmatch(m[2], -1) {
				vars[parameter[1]] = parameter[2]
			}
			list = append(list, task{name: m[1], line: number, vars: vars})
		}
	}
	return list
}

// taskfileTasks reads a Taskfile.yml.
func taskfileTasks(text []byte) []task {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	vars := map[string]string{}
	for _, key := range []string{"vars", "env"} {
		if set := child(doc.Content[0], key); set != nil && set.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(set.Content); i += 2 {
				vars[set.Content[i].Value] = set.Content[i+1].Value
			}
		}
	}
	tasks := child(doc.Content[0], "tasks")
	if tasks == nil || tasks.Kind != yaml.MappingNode {
		return nil
	}
	var list []task
	for i := 0; i+1 < len(tasks.Content); i += 2 {
		t := task{name: tasks.Content[i].Value, line: tasks.Content[i].Line, vars: vars}
		body := resolve(tasks.Content[i+1])
		dir := ""
		if at := child(body, "dir"); at != nil {
			dir = "cd " + at.Value + "\n"
		}
		for _, key := range []string{"cmds", "cmd"} {
			if cmds := child(body, key); cmds != nil {
				body = cmds
			}
		}
		for _, cmd := range append([]*yaml.Node{body}, body.Content...) {
			if line := child(cmd, "cmd"); line != nil {
				cmd = line
			}
			if cmd.Kind == yaml.ScalarNode {
				t.text += templateUse.ReplaceAllString(cmd.Value, "$${$1}") + "\n"
			}
		}
		t.text = dir + t.text
		list = append(list, t)
	}
	return list
}

var templateUse = regexp.MustCompile(`\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`)

// tomlTasks reads the tasks of mise, poe, taskipy, pdm, hatch and pipenv.
func tomlTasks(text []byte) []task {
	var config map[string]any
	if toml.Unmarshal(text, &config) != nil {
		return nil
	}
	var list []task
	for _, at := range [][]string{{"tasks"}, {"tool", "poe", "tasks"}, {"tool", "taskipy", "tasks"}, {"tool", "pdm", "scripts"}, {"tool", "hatch", "envs", "default", "scripts"}, {"tool", "rye", "scripts"}, {"scripts"}} {
		var here any = config
		for _, key := range at {
			table, _ := here.(map[string]any)
			here = table[key]
		}
		table, _ := here.(map[string]any)
		for _, name := range sortedKeys(table) {
			text := tomlCommand(table[name])
			list = append(list, task{name: name, text: text, line: 0})
		}
	}
	return list
}

// tomlCommand is a task's command line: a string, a list, or a table with one.
func tomlCommand(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var words []string
		for _, w := range v {
			words = append(words, tomlCommand(w))
		}
		return strings.Join(words, " ")
	case map[string]any:
		for _, key := range []string{"run", "cmd", "shell", "help"} {
			if inner, ok := v[key]; ok && key != "help" {
				return tomlCommand(inner)
			}
		}
	}
	return ""
}

// readManagers takes the processes of process-compose, mprocs and pm2.
func (d *discovery) readManagers() {
	for _, file := range d.named("process-compose.yaml", "process-compose.yml", "mprocs.yaml", "mprocs.yml") {
		var doc yaml.Node
		if yaml.Unmarshal(d.text(file), &doc) != nil || len(doc.Content) == 0 {
			continue
		}
		list := child(doc.Content[0], "processes")
		if list == nil {
			list = child(doc.Content[0], "procs")
		}
		if list == nil || list.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(list.Content); i += 2 {
			name, body := list.Content[i], resolve(list.Content[i+1])
			text, dir := body.Value, "."
			for _, key := range []string{"command", "shell", "cmd"} {
				if line := child(body, key); line != nil {
					text = line.Value
					for _, word := range line.Content {
						text += " " + word.Value
					}
				}
			}
			for _, key := range []string{"working_dir", "cwd"} {
				if at := child(body, key); at != nil {
					dir = at.Value
				}
			}
			d.managed(file, name.Line, name.Value, text, dir)
		}
	}
	for _, file := range d.matching(func(base string) bool { return strings.HasPrefix(base, "ecosystem.config.") }) {
		config, ok := d.config(file, command{})
		if path.Ext(file) == ".json" {
			config, ok = d.json(file)
		}
		apps, _ := config.Field("apps")
		if !ok || apps.Kind != javascript.Array {
			continue
		}
		for _, app := range apps.Items {
			field := func(name string) string { v, _ := app.Field(name); return v.Text }
			text := field("script") + " " + field("args")
			if ext := path.Ext(field("script")); slices.Contains([]string{".js", ".ts", ".mjs", ".cjs"}, ext) {
				text = "node " + text
			}
			for _, key := range []string{"env", "env_development"} {
				if port, ok := app.Field(key, "PORT"); ok && port.Port() != 0 {
					text = "PORT=" + port.Text + " " + text
				}
			}
			d.managed(file, app.Line, field("name"), text, field("cwd"))
		}
	}
}

// managed is a process of a manager that runs in dir.
func (d *discovery) managed(file string, line int, name, text, dir string) {
	folder := path.Join(path.Dir(file), dir)
	if folder != "." && !d.has[folder] {
		folder = path.Dir(file)
	}
	d.process(folder, file, line, name, text)
}
