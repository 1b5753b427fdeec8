package scaffold

import (
	"path"
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
// not YAML or is empty.
func (r *repository) yaml(file string) (value javascript.Value, ok bool) {
	var doc yaml.Node
	if yaml.Unmarshal(r.text(file), &doc) != nil || len(doc.Content) == 0 {
		return javascript.Value{}, false
	}
	left := maxValues
	return yamlValue(doc.Content[0], &left, 0), true
}

func yamlValue(n *yaml.Node, left *int, level int) javascript.Value {
	*left--
	v := javascript.Value{Line: n.Line, Source: n.Value}
	if *left < 0 || level > maxLevels {
		return v
	}
	switch n.Kind {
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
	return javascript.Parse(r.text(file), func(name string) (string, bool) {
		if v, set := command[name]; set {
			return v, true
		}
		return r.variable(path.Dir(file), name)
	})
}
