package hcl

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Flow says which environment variables a value was made of. The zero value
// means none.
//
// A variable that is not set flows nowhere: env() then returns the default that
// the file gives.
type Flow struct {
	// Env are the names of the variables, sorted.
	Env []string
	// Shown is the value as it may be shown, with names in place of what comes
	// from the environment: "https://${STAGE}.example.com".
	Shown string
	// Range is the expression.
	Range Range
	// Computed reports that the value tells something about a variable other
	// than its whole value, by which settings together can spell it out. False
	// for a variable's value as it is, as a part of a longer text, or with a
	// constant added.
	Computed bool
}

// Empty reports whether no variable flows in.
func (f Flow) Empty() bool { return len(f.Env) == 0 }

// AttributeFlow is a Flow into an attribute, somewhere in the file. It is the
// list that nothing escapes: each attribute that is evaluated is in it when a
// variable flows into any part of it.
type AttributeFlow struct {
	Attribute string // "redirect"
	// Block is the header of the host, route, service or share block that the
	// attribute is in; the zero value at the top level.
	Block Range
	// Bare reports that the value is null, true, false or empty: the variable
	// only decides about the attribute.
	Bare bool
	// Whole reports that the attribute is computed as a whole, and not only
	// elements of a list or an object that is written out. Whether it is Bare can
	// depend on the variable then.
	Whole bool
	Flow
}

// envMark marks what the environment variable of this name flows into. cty
// carries marks through templates, conditionals, for expressions and functions.
type envMark string

// names are the variables of marks, sorted.
func names(marks cty.ValueMarks) []string {
	var all []string
	for mark := range marks {
		if name, is := mark.(envMark); is {
			all = append(all, string(name))
		}
	}
	slices.Sort(all)
	return all
}

// union is the names of both lists, sorted, each once.
func union(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// marks are the marks of what f flows into.
func (f Flow) marks() cty.ValueMarks {
	marks := cty.ValueMarks{}
	for _, name := range f.Env {
		marks[envMark(name)] = struct{}{}
	}
	if f.Computed {
		marks[computedMark{}] = struct{}{}
	}
	return marks
}

// and is what f and other flow into together, shown as f where that says more
// than nothing.
func (f Flow) and(other Flow) Flow {
	if f.Empty() {
		return other
	}
	f.Env, f.Computed = union(f.Env, other.Env), f.Computed || other.Computed
	return f
}

// newValue is raw without its marks. It and all its parts have the variables
// that flow into what it is a part of; the zero value is not part of anything.
func (d *decoder) newValue(raw cty.Value, expr hclsyntax.Expression, t *text, outer value) value {
	plain, marks := raw.Unmark()
	v := value{Value: plain, expr: expr, text: t, env: union(outer.env, names(marks)), computed: outer.computed || isComputed(marks)}
	d.concealed.note(v)
	return v
}

// deepEnv are the variables that flow into v or any part of it, and whether any
// part is computed.
func (v value) deepEnv() (env []string, computed bool) {
	env, computed = v.partsEnv()
	return union(v.env, env), v.computed || computed
}

// partsEnv are those that flow into parts of v.
func (v value) partsEnv() (env []string, computed bool) {
	if v.Value == cty.NilVal {
		return nil, false
	}
	_, marks := v.UnmarkDeep()
	return names(marks), isComputed(marks)
}

// flow is where v comes from. What flows is kept out of everything that is
// shown from now on.
func (d *decoder) flow(v value) Flow {
	f := d.comesFrom(v)
	d.concealed.hide(v, f)
	return f
}

// comesFrom is flow of a value that has to be shown all the same: an address
// that people open, or a number.
func (d *decoder) comesFrom(v value) Flow {
	env, computed := v.deepEnv()
	if len(env) == 0 {
		return Flow{}
	}
	return Flow{Env: env, Shown: d.scope.shown(v.expr, v.text), Range: v.at(), Computed: computed}
}

const (
	// maxShown bounds what is shown of one value, and maxShownDepth how deep
	// it is looked into.
	maxShown      = 400
	maxShownDepth = 20
)

// shown is what expr says, with ${NAME} for what comes from the environment. It
// never contains a value of the environment, nor anything made of one.
func (s *scope) shown(expr hclsyntax.Expression, t *text) string {
	text := printable(s.shownAt(expr, t, 0))
	if len(text) > maxShown {
		// Both ends: the last labels of a host name are what counts.
		text = strings.ToValidUTF8(text[:maxShown/2]+" … "+text[len(text)-maxShown/2:], "")
	}
	return text
}

func (s *scope) shownAt(expr hclsyntax.Expression, t *text, depth int) string {
	expr = unwrapped(expr)
	written := "${" + strings.Join(strings.Fields(sourceOf(expr, t)), " ") + "}"
	if depth > maxShownDepth {
		return written
	}
	plain, marks := s.value(expr, t).UnmarkDeep()
	if len(names(marks)) == 0 {
		if text, err := convert.Convert(plain, cty.String); err == nil && text.IsKnown() && !text.IsNull() {
			return text.AsString()
		}
		return written
	}
	switch e := expr.(type) {
	case *hclsyntax.TemplateExpr:
		var out strings.Builder
		for _, part := range e.Parts {
			if out.Len() <= 2*maxShown {
				out.WriteString(s.shownAt(part, t, depth+1))
			}
		}
		return out.String()
	case *hclsyntax.TemplateWrapExpr:
		return s.shownAt(e.Wrapped, t, depth+1)
	case *hclsyntax.ParenthesesExpr:
		return s.shownAt(e.Expression, t, depth+1)
	case *hclsyntax.FunctionCallExpr:
		return s.shownCall(e, t, depth)
	case *hclsyntax.ScopeTraversalExpr:
		if name, _, named := member(e.Traversal); named && len(e.Traversal) == 2 && e.Traversal.RootName() == "local" {
			if attr := s.localAttrs[name]; attr != nil {
				return s.shownAt(attr.Expr, attr.text, depth+1)
			}
		}
	}
	return written
}

// shownCall is a call with its arguments as they may be shown: the part of a
// host name that a format string hides is one of them.
func (s *scope) shownCall(call *hclsyntax.FunctionCallExpr, t *text, depth int) string {
	var args []string
	for _, arg := range call.Args {
		args = append(args, s.shownAt(arg, t, depth+1))
	}
	if call.Name == "env" && len(args) > 0 {
		return "${" + args[0] + "}"
	}
	return "${" + call.Name + "(" + strings.Join(args, ", ") + ")}"
}

// sourceOf is expr as it is written. The parser gives some parts of broken text
// ranges that end before they begin.
func sourceOf(expr hclsyntax.Expression, t *text) string {
	at := t.span(expr.Range().Start.Byte, expr.Range().End.Byte)
	return string(t.src[at.Start.Byte:at.End.Byte])
}
