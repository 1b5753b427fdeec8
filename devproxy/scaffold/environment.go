package scaffold

import (
	"path"
	"slices"
	"strings"
)

// environmentFiles are read in this order, and the last one wins, as in Vite,
// Next and Nuxt in development.
var environmentFiles = []string{".env", ".flaskenv", ".env.development", ".env.dev", ".env.local", ".env.development.local"}

// environmentExamples take the place of environment files in a fresh clone.
var environmentExamples = []string{".env.example", ".env.sample", ".env.dist", ".env.template", "env.example", "example.env"}

// variables returns those of the environment files in folder.
func (r *repository) variables(folder string) map[string]string {
	if vars, done := r.env[folder]; done {
		return vars
	}
	vars := map[string]string{}
	r.env[folder] = vars
	found := false
	for _, name := range environmentFiles {
		if file := r.in(folder, name); file != "" {
			found = true
			readEnvironment(vars, string(r.text(file)))
		}
	}
	if !found {
		readEnvironment(vars, string(r.text(r.in(folder, environmentExamples...))))
	}
	return vars
}

// variable looks up an environment variable of folder, then of the project's own
// folder. PORT of the project's own folder does not apply to the apps in it.
func (r *repository) variable(folder, name string) (value string, set bool) {
	if value, set = r.variables(folder)[name]; !set && name != "PORT" {
		value, set = r.variables(".")[name]
	}
	return value, set
}

// lookup returns a function that looks up the variables of folder.
func (r *repository) lookup(folder string) func(name string) (string, bool) {
	return func(name string) (string, bool) { return r.variable(folder, name) }
}

// noVariables is a lookup in which no variable is set.
func noVariables(string) (string, bool) { return "", false }

// readEnvironment reads lines of NAME=VALUE into vars. References to variables
// are replaced if they are known.
func readEnvironment(vars map[string]string, text string) {
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || name == "" || strings.ContainsAny(name, "# \t'\"") {
			continue
		}
		quote := ""
		if value != "" && strings.Contains(`"'`+"`", value[:1]) {
			quote = value[:1]
			value, _, _ = strings.Cut(value[1:], quote)
		} else {
			value, _, _ = strings.Cut(" "+value, " #")
			value = strings.TrimSpace(value)
		}
		if quote != "'" {
			value = substitute(value, func(name string) (string, bool) { v, set := vars[name]; return v, set })
		}
		vars[name] = value
	}
}

// setEnvironmentPort sets the port that the environment of c's folder has in one of
// names.
func (r *repository) setEnvironmentPort(c *candidate, names ...string) {
	port, file, line := r.environmentPort(c.folder, names...)
	c.set(port, stated, file, line)
}

// environmentPort returns the first of names that the environment of folder sets
// to a port, and the file and line that do.
func (r *repository) environmentPort(folder string, names ...string) (port int, file string, line int) {
	vars := r.variables(folder)
	i := slices.IndexFunc(names, func(name string) bool { return portOf(vars[name]) != 0 })
	if i < 0 {
		return 0, "", 0
	}
	for _, list := range [][]string{environmentFiles, environmentExamples} {
		for _, base := range list {
			if at := lineOf(string(r.text(path.Join(folder, base))), names[i]+"="); at > 0 {
				file, line = path.Join(folder, base), at
			}
		}
		if file != "" {
			break
		}
	}
	return portOf(vars[names[i]]), file, line
}
