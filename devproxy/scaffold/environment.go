package scaffold

import (
	"path"
	"strings"
)

// environmentFiles are read in this order, and the last wins, as Vite, Next and
// Nuxt do in development.
var environmentFiles = []string{".env", ".flaskenv", ".env.development", ".env.dev", ".env.local", ".env.development.local"}

// environmentExamples stand for environment files that a fresh clone does not
// have yet.
var environmentExamples = []string{".env.example", ".env.sample", ".env.dist", ".env.template", "env.example", "example.env"}

// variables are those of the environment files in folder.
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
	if found {
		return vars
	}
	if file := r.in(folder, environmentExamples...); file != "" {
		readEnvironment(vars, string(r.text(file)))
	}
	return vars
}

// variable is an environment variable in folder, or in the project's own folder.
// PORT of the project's own folder is not that of each app in it.
func (r *repository) variable(folder, name string) (string, bool) {
	if v, set := r.variables(folder)[name]; set {
		return v, true
	}
	if folder == "." || name == "PORT" {
		return "", false
	}
	v, set := r.variables(".")[name]
	return v, set
}

// readEnvironment reads lines of NAME=VALUE into vars. References to variables
// that are known are replaced.
func readEnvironment(vars map[string]string, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		name, value, found := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" || strings.ContainsAny(name, "# \t'\"") {
			continue
		}
		value = strings.TrimSpace(value)
		switch {
		case value != "" && strings.ContainsRune(`"'`+"`", rune(value[0])):
			inner, _, _ := strings.Cut(value[1:], value[:1])
			if value[0] == '\'' {
				vars[name] = inner
				continue
			}
			value = inner
		default:
			if i := strings.Index(value, " #"); i >= 0 {
				value = strings.TrimSpace(value[:i])
			}
			if strings.HasPrefix(value, "#") {
				value = ""
			}
		}
		vars[name] = substitute(value, func(name string) (string, bool) { v, set := vars[name]; return v, set })
	}
}

// environmentPort is the first of names that an environment file in folder sets
// to a port. example is true where only a sample file says so.
func (r *repository) environmentPort(folder string, names ...string) (port int, file string, line int) {
	vars := r.variables(folder)
	for _, name := range names {
		if port = portOf(vars[name]); port == 0 {
			continue
		}
		for _, base := range append(append([]string(nil), environmentFiles...), environmentExamples...) {
			text := string(r.text(path.Join(folder, base)))
			if at := lineOf(text, name+"="); at > 0 {
				file, line = path.Join(folder, base), at
			}
			if file != "" && base == environmentFiles[len(environmentFiles)-1] {
				break
			}
		}
		return port, file, line
	}
	return 0, "", 0
}

// lineOf is the line, from 1, in which part first occurs; 0 where it does not.
func lineOf(text, part string) int {
	i := strings.Index(text, part)
	if i < 0 {
		return 0
	}
	return 1 + strings.Count(text[:i], "\n")
}
