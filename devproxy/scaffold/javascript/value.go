// Package javascript reads configuration files of JavaScript and TypeScript, and
// JSON with comments, without running them: it evaluates what can be known from
// the text and from environment files, and says of the rest that it is unknown.
package javascript

import (
	"strconv"
	"strings"
)

// Kind is what sort of value an expression has.
type Kind int

// The kinds of a Value.
const (
	Unknown Kind = iota
	Undefined
	String
	Number
	Bool
	Object
	Array
	Function
	// Call is a call of a function that is not known, or a "new": Text is its
	// name ("devServer.listen"), Items are its arguments.
	Call
	// Environment is process.env and what loadEnv returns.
	Environment
)

// Value is what an expression evaluates to. The zero Value is unknown.
type Value struct {
	Kind    Kind
	Line    int      // from 1; where it is written
	Text    string   // of a String, Number or Bool; the name of a Call
	Fields  []Field  // of an Object
	Items   []Value  // of an Array or Call
	Source  string   // tokens without spaces, shortened; for people and for patterns
	body    int      // of a Function: the token where its body begins
	program *Program // of a Function
	// fallback marks a value that applies only where an environment variable is
	// not set.
	fallback bool
}

// Field is a member of an object. Name is empty for a spread of something
// unknown and for a computed name.
type Field struct {
	Name  string
	Value Value
}

// Field returns the member of an object at a path of names. ok is false where
// there is none.
func (v Value) Field(path ...string) (field Value, ok bool) {
	for _, name := range path {
		found := false
		for i := len(v.Fields) - 1; i >= 0; i-- { // the last one wins
			if v.Fields[i].Name == name {
				v, found = v.Fields[i].Value, true
				break
			}
		}
		if !found {
			return Value{}, false
		}
	}
	return v, true
}

// Known reports whether v is a string, a number or a boolean.
func (v Value) Known() bool { return v.Kind == String || v.Kind == Number || v.Kind == Bool }

// Fallback reports whether v applies only where an environment variable is not
// set, as in process.env.PORT || 3000.
func (v Value) Fallback() bool { return v.fallback }

// Port returns v as a TCP port; 0 where it is not one.
func (v Value) Port() int {
	if v.Kind != Number && v.Kind != String {
		return 0
	}
	n, err := strconv.ParseUint(v.Text, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// Is reports whether v is the boolean b.
func (v Value) Is(b bool) bool { return v.Kind == Bool && v.Text == strconv.FormatBool(b) }

// Objects returns v, or the objects among the arguments of a call, such as
// defineConfig({…}) or merge(common, {…}), merged in order. ok is false where
// there is none.
func (v Value) Objects() (object Value, ok bool) {
	switch v.Kind {
	case Object:
		return v, true
	case Call:
		for _, item := range v.Items {
			if o, found := item.Objects(); found {
				object, ok = merge(object, o), true
			}
		}
	}
	return object, ok
}

// merge returns the fields of both, those of over winning; nested objects merge.
func merge(under, over Value) Value {
	out := Value{Kind: Object, Line: over.Line, Source: over.Source, Fields: append([]Field(nil), under.Fields...)}
	for _, f := range over.Fields {
		merged := false
		for i, have := range out.Fields {
			if f.Name != "" && have.Name == f.Name {
				merged = true
				if have.Value.Kind == Object && f.Value.Kind == Object {
					f.Value = merge(have.Value, f.Value)
				}
				out.Fields[i] = f
				break
			}
		}
		if !merged {
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}

// truth is a value as a condition. known is false where it depends on what is
// not known.
func (v Value) truth() (truth, known bool) {
	switch v.Kind {
	case Undefined:
		return false, true
	case Bool:
		return v.Text == "true", true
	case String:
		return v.Text != "", true
	case Number:
		return v.Text != "0" && v.Text != "NaN", true
	case Object, Array, Function, Environment:
		return true, true
	}
	return false, false
}

func text(kind Kind, s string, line int) Value { return Value{Kind: kind, Text: s, Line: line} }

func boolean(b bool, line int) Value { return text(Bool, strconv.FormatBool(b), line) }

// unquote is the text of a string or a template without names. Escapes that Go
// does not share make it unknown.
func unquote(text string) (string, bool) {
	if len(text) < 2 {
		return "", false
	}
	inner := text[1 : len(text)-1]
	if !strings.Contains(inner, `\`) {
		return inner, true
	}
	out, err := strconv.Unquote(`"` + strings.NewReplacer(`\/`, "/", `\'`, "'", `\"`, `\"`, `"`, `\"`).Replace(inner) + `"`)
	return out, err == nil
}
