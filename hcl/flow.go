package hcl

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Flow says which environment variables a value is made of. The zero value means
// none.
//
// A variable that is not set does not flow anywhere: env() then returns the
// default in the file.
type Flow struct {
	// Env are the names of the variables, sorted.
	Env []string
	// Shown is the value as it may be shown, with names in place of what comes
	// from the environment: "https://${STAGE}.example.com".
	Shown string
	// Range is the expression.
	Range Range
	// Computed reports that the value reveals something about a variable other
	// than its whole value, so that several settings can spell it out. It is false
	// for a variable's value as it is, as a part of a longer text, or with a
	// constant added.
	Computed bool
}

// Empty reports whether no variable flows in.
func (f Flow) Empty() bool { return len(f.Env) == 0 }

// AttributeFlow is a Flow into an attribute, anywhere in the file. File.Flows has
// one for each evaluated attribute that a variable flows into, even if only into
// a part of it.
type AttributeFlow struct {
	Attribute string // "redirect"
	// Block is the header of the host, route, service or share block with the
	// attribute; the zero value at the top level.
	Block Range
	// Bare reports that the value is null, true, false or empty: the variable only
	// decides about the attribute.
	Bare bool
	// Whole reports that the attribute is computed as a whole, and not only
	// elements of a list or an object in brackets. Then the variable can decide
	// whether it is Bare.
	Whole bool
	Flow
}

// marks returns the marks of what f flows into.
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

// and returns the flow of f and other together. It is shown as f, unless f is
// empty.
func (f Flow) and(other Flow) Flow {
	if f.Empty() {
		return other
	}
	f.Env, f.Computed = union(f.Env, other.Env), f.Computed || other.Computed
	return f
}

// setFlow sets a flow that is not empty in flows, which may be nil, and returns
// flows.
func setFlow(flows map[string]Flow, name string, f Flow) map[string]Flow {
	if f.Empty() {
		return flows
	}
	if flows == nil {
		flows = map[string]Flow{}
	}
	flows[name] = f
	return flows
}

// newValue returns raw without its marks. What flows into outer flows into it and
// all its parts; the zero value is for a value that is not a part.
func (s *scope) newValue(raw cty.Value, expr hclsyntax.Expression, t *text, outer value) value {
	plain, marks := raw.Unmark()
	v := value{
		Value: plain, expr: expr, text: t, scope: s,
		env: union(outer.env, names(marks)), computed: outer.computed || isComputed(marks),
	}
	s.secrets.note(v)
	return v
}

// deepEnv returns the variables that flow into v or any part of it, and whether
// any part is computed.
func (v value) deepEnv() (env []string, computed bool) {
	env, computed = v.partsEnv()
	return union(v.env, env), v.computed || computed
}

// partsEnv is deepEnv for the parts of v alone.
func (v value) partsEnv() (env []string, computed bool) {
	if v.Value == cty.NilVal {
		return nil, false
	}
	_, marks := v.UnmarkDeep()
	return names(marks), isComputed(marks)
}

// flow returns what flows into v, and hides v from now on.
func (v value) flow() Flow {
	f := v.comesFrom()
	v.scope.secrets.hide(v, f)
	return f
}

// comesFrom is flow for a value that may be shown: an address that people open,
// or a number.
func (v value) comesFrom() Flow {
	env, computed := v.deepEnv()
	if len(env) == 0 {
		return Flow{}
	}
	return Flow{Env: env, Shown: v.scope.shown(v.expr, v.text), Range: v.at(), Computed: computed}
}

// noteFlow adds what flows into an attribute to File.Flows, once.
func (s *scope) noteFlow(b *block, name string, v value) {
	at := v.at()
	flow := v.comesFrom()
	if s.flowed[at] || flow.Empty() {
		return
	}
	s.flowed[at] = true
	whole := v.computed
	if names, written := v.writtenNames(); written {
		// The names of such an object are fixed. Nothing selects one, and their order
		// does not matter.
		_, parts := v.partsEnv()
		whole, flow.Computed = names, names || parts
	}
	if !isShown(name) {
		s.secrets.hide(v, flow)
	}
	s.file.Flows = append(s.file.Flows, AttributeFlow{Attribute: name, Block: b.header, Bare: v.isBare(), Whole: whole, Flow: flow})
}

// writtenNames reports whether v is an object in braces, and whether one of its
// names is computed.
func (v value) writtenNames() (computed, written bool) {
	object, written := unwrapped(v.expr).(*hclsyntax.ObjectConsExpr)
	if !written {
		return false, false
	}
	for _, item := range object.Items {
		_, marks := v.scope.value(unwrapped(item.KeyExpr), v.text).UnmarkDeep()
		computed = computed || isComputed(marks)
	}
	return computed, true
}

const (
	// maxShown bounds what is shown of one value, and maxShownDepth how deep its
	// expression is read.
	maxShown      = 400
	maxShownDepth = 20
)

// shown returns the value of expr with ${NAME} for what comes from the
// environment. It never contains a value of the environment, or anything made of
// one.
func (s *scope) shown(expr hclsyntax.Expression, t *text) string {
	text := printable(s.shownAt(expr, t, 0))
	if len(text) > maxShown {
		// Both ends: the last labels of a host name are the important ones.
		text = strings.ToValidUTF8(text[:maxShown/2]+" … "+text[len(text)-maxShown/2:], "")
	}
	return text
}

func (s *scope) shownAt(expr hclsyntax.Expression, t *text, depth int) string {
	expr = unwrapped(expr)
	written := "${" + strings.Join(strings.Fields(t.written(expr.Range())), " ") + "}"
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

// shownCall returns a call with its arguments as they may be shown. A format
// string can hide a part of a host name in them.
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
