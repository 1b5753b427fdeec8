package scaffold

import (
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v4"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// All formats of data become a javascript.Value, so that one path reads a port
// from any of them.

const (
	// maxValues limits the values of a YAML file, in which aliases of aliases can
	// multiply.
	maxValues = 100_000
	// maxLevels is how deep they may nest.
	maxLevels = 100
)

// json reads JSON, with the comments and trailing commas that people write in it.
// ok is false if it is neither an object nor an array.
func (r *repository) json(file string) (value javascript.Value, ok bool) {
	return javascript.ParseJSON(r.text(file))
}

// yaml reads YAML with its aliases and merge keys resolved. ok is false if it is
// not YAML.
func (r *repository) yaml(file string) (value javascript.Value, ok bool) {
	var doc yaml.Node
	err := yaml.Unmarshal(r.text(file), &doc)
	left := maxValues
	return yamlValue(&doc, &left, 0), err == nil
}

func yamlValue(n *yaml.Node, left *int, level int) javascript.Value {
	*left--
	v := javascript.Value{Line: n.Line, Source: n.Value}
	if *left < 0 || level > maxLevels {
		return v
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return yamlValue(n.Content[0], left, level+1)
	case yaml.AliasNode:
		return yamlValue(n.Alias, left, level+1)
	case yaml.SequenceNode:
		v.Kind = javascript.Array
		for _, item := range n.Content {
			v.Items = append(v.Items, yamlValue(item, left, level+1))
		}
	case yaml.MappingNode:
		v.Kind = javascript.Object
		var merged []javascript.Value
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], yamlValue(n.Content[i+1], left, level+1)
			if key.Value == "<<" {
				merged = append(append(merged, value), value.Items...)
				continue
			}
			value.Line = key.Line
			v.Fields = append(v.Fields, javascript.Field{Name: key.Value, Value: value})
		}
		for _, m := range merged {
			for _, f := range m.Fields {
				if _, has := v.Field(f.Name); !has {
					v.Fields = append(v.Fields, f)
				}
			}
		}
	case yaml.ScalarNode:
		v.Text = n.Value
		switch n.ShortTag() {
		case "!!null":
			v.Kind, v.Text = javascript.Undefined, ""
		case "!!bool":
			v.Kind, v.Text = javascript.Bool, strings.ToLower(n.Value)
		case "!!int":
			v.Kind = javascript.Number
		default:
			v.Kind = javascript.String
		}
	}
	return v
}

// toml reads TOML up to its first mistake. Its values have no lines.
func (r *repository) toml(file string) javascript.Value {
	var table map[string]any
	var node yaml.Node
	_ = toml.Unmarshal(r.text(file), &table)
	if node.Encode(table) != nil {
		return javascript.Value{}
	}
	left := maxValues
	return yamlValue(&node, &left, 0)
}

// javascript reads a JavaScript or TypeScript file, in which variables have the
// values of the environment files next to it, and those of a command.
func (r *repository) javascript(file string, command map[string]string) *javascript.Program {
	return javascript.Parse(r.text(file), r.lookup(path.Dir(file)).with(command))
}

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
	for _, name := range environmentFiles {
		readEnvironment(vars, string(r.text(r.in(folder, name))))
	}
	if r.in(folder, environmentFiles...) == "" {
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
func (r *repository) lookup(folder string) environment {
	return func(name string) (string, bool) { return r.variable(folder, name) }
}

// environment looks up a variable.
type environment func(name string) (value string, set bool)

// with returns env with vars in place of its variables with the same names.
func (env environment) with(vars map[string]string) environment {
	return func(name string) (string, bool) {
		if v, set := vars[name]; set {
			return v, true
		}
		return env(name)
	}
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
			value = substitute(value, environment(noVariables).with(vars))
		}
		vars[name] = value
	}
}

// setEnvironmentPort sets the port that the first of the variables has in the
// environment of c's folder.
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
