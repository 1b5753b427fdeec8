// Package javascript reads configuration files in JavaScript, TypeScript and
// JSON with comments, without running them. It evaluates values that the text
// and environment files determine, and reports the rest as unknown.
package javascript

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a value.
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
	// Call is a call of an unknown function, or a "new": Text is its name
	// ("devServer.listen"), Items are its arguments.
	Call
	// Environment is process.env and the result of loadEnv.
	Environment
)

// Value is the result of an expression. The zero Value is unknown.
type Value struct {
	Kind    Kind
	Line    int      // from 1; where it is written
	Text    string   // of a String, Number or Bool; the name of a Call
	Fields  []Field  // of an Object
	Items   []Value  // of an Array or Call
	Source  string   // its tokens without spaces, shortened; for notes and patterns
	body    int      // of a Function: the token at which its body begins
	program *Program // of a Function
	// fallback marks a value that applies only if an environment variable is not
	// set.
	fallback bool
}

// Field is a member of an object. Name is empty for the spread of an unknown
// value and for a computed name.
type Field struct {
	Name  string
	Value Value
}

// Field returns the member at a path of names. ok is false if it does not exist.
func (v Value) Field(path ...string) (field Value, ok bool) {
	for _, name := range path {
		found := false
		for _, f := range slices.Backward(v.Fields) { // the last one wins
			if f.Name == name {
				v, found = f.Value, true
				break
			}
		}
		if !found {
			return Value{}, false
		}
	}
	return v, true
}

// At returns the member at a dotted path such as "server.port", through calls and
// functions; the zero Value if it does not exist.
func (v Value) At(path string) Value {
	for name := range strings.SplitSeq(path, ".") {
		if v.Kind == Call || v.Kind == Function {
			v, _ = v.Object()
		}
		v, _ = v.Field(name)
	}
	return v
}

// Item returns an item of an array or an argument of a call; the zero Value if it
// does not exist.
func (v Value) Item(i int) Value {
	if i >= len(v.Items) {
		return Value{}
	}
	return v.Items[i]
}

// Known reports whether v is a string, a number or a boolean.
func (v Value) Known() bool { return v.Kind == String || v.Kind == Number || v.Kind == Bool }

// Fallback reports whether v applies only if an environment variable is not set,
// as in process.env.PORT || 3000.
func (v Value) Fallback() bool { return v.fallback }

// Port returns v as a TCP port; 0 if it is not one.
func (v Value) Port() int {
	n := v.integer()
	if v.Kind != Number && v.Kind != String || n < 0 || n > math.MaxUint16 {
		return 0
	}
	return n
}

// Is reports whether v is the boolean b.
func (v Value) Is(b bool) bool { return v.Kind == Bool && v.Text == strconv.FormatBool(b) }

// On reports whether v is an option that is switched on: anything but false and
// undefined.
func (v Value) On() bool { return v.Source != "" && !v.Is(false) && v.Kind != Undefined }

// Object returns v if it is an object; otherwise the one in it: the first of an
// array, the result of a function, or the arguments of a call such as
// defineConfig({…}) or merge(common, {…}), merged in order. ok is false if the
// object is unknown.
func (v Value) Object() (object Value, ok bool) { return v.object(0) }

func (v Value) object(depth int) (object Value, ok bool) {
	if depth > maxNesting {
		return Value{}, false
	}
	switch v.Kind {
	case Object:
		return v, true
	case Array:
		for _, item := range v.Items {
			if object, ok = item.object(depth + 1); ok {
				return object, true
			}
		}
	case Function:
		return v.program.returned(v).object(depth + 1)
	case Call:
		for _, item := range v.Items {
			if o, found := item.object(depth + 1); found {
				object, ok = merge(object, o), true
			}
		}
	}
	return object, ok
}

// merge returns the fields of both, in which those of over win. Nested objects
// are merged too.
func merge(under, over Value) Value {
	out := Value{Kind: Object, Line: over.Line, Source: over.Source, Fields: slices.Clone(under.Fields)}
	for _, f := range over.Fields {
		i := slices.IndexFunc(out.Fields, func(have Field) bool { return f.Name != "" && have.Name == f.Name })
		if i < 0 {
			out.Fields = append(out.Fields, f)
			continue
		}
		if have := out.Fields[i].Value; have.Kind == Object && f.Value.Kind == Object {
			f.Value = merge(have, f.Value)
		}
		out.Fields[i] = f
	}
	return out
}

// truth returns v as a condition. known is false if it depends on an unknown
// value.
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

// integer returns v as an integer that is not negative; -1 if it is not one.
func (v Value) integer() int {
	n, err := strconv.ParseUint(v.Text, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

// toNumber is Number(v).
func (v Value) toNumber() Value {
	switch n := v.integer(); {
	case n >= 0 && v.Known():
		out := text(Number, strconv.Itoa(n), v.Line)
		out.fallback = v.fallback
		return out
	case v.Known() || v.Kind == Undefined:
		return text(Number, "NaN", v.Line)
	}
	return Value{}
}

// unquote returns the text of a string, or of a template without names. ok is
// false for escapes that Go does not have.
func unquote(text string) (unquoted string, ok bool) {
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
