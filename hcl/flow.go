package hcl

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Flow says which environment variables a value is made of. The zero value means
// none.
//
// A variable that is not set does not flow anywhere: env() then returns the
// default in the file.
type Flow struct {
	// Env are the names of the variables, sorted.
	Env []string
	// Shown is the value as it may be shown, with names in place of values from
	// the environment: "https://${STAGE}.example.com". The middle of a long one is cut.
	Shown string
	// Whole is Shown with nothing left out, for what a person has to read before allowing
	// it. Locals are those that are named in it: `local.a = "x", local.b = "y"`.
	Whole, Locals string
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

// Full is the value with all that decides about it, as it may be shown.
func (f Flow) Full() string { return f.WithLocals(f.Whole) }

// WithLocals returns text, which is Whole or a part of it, with the locals that are named
// in it.
func (f Flow) WithLocals(text string) string {
	if f.Locals == "" {
		return text
	}
	return text + " (" + f.Locals + ")"
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
	return put(flows, name, f)
}

// newValue returns raw without its marks. The variables that flow into outer
// flow into it and all its parts; outer is zero if the value is not a part.
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
	f := Flow{Env: env, Range: v.at(), Computed: computed}
	f.Whole, f.Locals = v.scope.shown(v.expr, v.text)
	f.Shown = shortened(f.Whole)
	return f
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

// envMark marks the values that the environment variable of this name flows
// into. cty carries marks through templates, conditionals, for expressions and
// functions.
type envMark string

// computedMark marks values that reveal something about a variable other than its
// whole value: a part of it, its length, or whether it equals something. A few
// settings computed like that can spell out a value that none of them contains.
//
// Results that reveal as much as the value itself are not marked: a conversion, a
// part of a longer text, a number with a constant added. Nor is a comparison with
// "" or null, which reveals only whether the variable is set.
type computedMark struct{}

// names returns the variables of marks, sorted.
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

// union returns the names of both lists, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// computed returns v, marked as computed if a variable flows into it.
func computed(v cty.Value) cty.Value {
	if !hasVariables(v) {
		return v
	}
	return v.Mark(computedMark{})
}

// hasVariables reports whether variables flow into v or any part of it.
func hasVariables(v cty.Value) bool {
	_, marks := v.UnmarkDeep()
	return len(names(marks)) > 0
}

// isComputed reports whether marks are those of a computed value.
func isComputed(marks cty.ValueMarks) bool {
	_, is := marks[computedMark{}]
	return is
}

// computes reports whether the result of function reveals something about the
// variables in args other than their values. The result of some functions is one of
// their arguments, or a part of one, as it is: only an argument that chooses it is
// revealed. Any other result is computed from all arguments.
func computes(function string, args []cty.Value) bool {
	switch function {
	case "coalesce", "concat", "flatten", "merge", "tobool", "tonumber", "tostring":
		return false
	case "env": // its name
		args = args[:1]
	case "element", "lookup": // the index
		args = args[1:2]
	}
	return slices.ContainsFunc(args, hasVariables)
}

// guard marks as computed the results of operators, and objects whose names come
// from the environment, and makes the variables of an index flow into the selected
// value.
func guard(expr hclsyntax.Expression) {
	visit(expr, func(node hclsyntax.Node) {
		switch e := node.(type) {
		case *hclsyntax.BinaryOpExpr:
			// "&&" and "||", like "!", only combine values that are marked themselves.
			if e.Op != hclsyntax.OpLogicalAnd && e.Op != hclsyntax.OpLogicalOr && !isGuarded(e.LHS) {
				e.LHS, e.RHS = guardOperands(e.LHS, e.RHS, e.Op)
			}
		case *hclsyntax.IndexExpr:
			if !isGuarded(e.Collection) {
				e.Collection, e.Key = guardIndex(e.Collection, e.Key)
			}
		case *hclsyntax.ForExpr:
			// The order of the result, and which elements are grouped.
			if e.KeyExpr != nil {
				e.KeyExpr = guardKey(e.KeyExpr)
			}
		case *hclsyntax.ObjectConsExpr:
			for i, item := range e.Items {
				e.Items[i].KeyExpr = guardKey(item.KeyExpr)
			}
		}
	})
}

func isGuarded(expr hclsyntax.Expression) bool {
	w, is := expr.(*wrapper)
	return is && (w.guards || isGuarded(w.Expression))
}

// guardKey marks as computed the name of an element, by which it is found and
// ordered.
func guardKey(key hclsyntax.Expression) hclsyntax.Expression {
	if isGuarded(key) {
		return key
	}
	return &wrapper{key, true, func(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
		value, diags := key.Value(ctx)
		return computed(value), diags
	}}
}

// guardOperands marks the right operand as computed if the result is: the result
// has the marks of both operands. The left one is evaluated first, and its value is
// held until then.
func guardOperands(lhs, rhs hclsyntax.Expression, op *hclsyntax.Operation) (left, right hclsyntax.Expression) {
	var held cty.Value
	left = &wrapper{lhs, true, func(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
		value, diags := lhs.Value(ctx)
		held = value
		return value, diags
	}}
	right = &wrapper{rhs, true, func(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
		left := held // an operand can contain the same local, and so this operator
		value, diags := rhs.Value(ctx)
		if left == cty.NilVal || !hasVariables(left) && !hasVariables(value) || keepsAll(op, left) || keepsAll(op, value) {
			return value, diags
		}
		return value.Mark(computedMark{}), diags
	}}
	return left, right
}

// maxAdded bounds the constants that may be added to a variable: any port.
const maxAdded = 65535

// keepsAll reports an operator with a constant whose result reveals as much as
// the other operand: whether that is set, or its value with a small number added.
// A large number would remove digits, because numbers have limited precision.
func keepsAll(op *hclsyntax.Operation, constant cty.Value) bool {
	if hasVariables(constant) || !constant.IsWhollyKnown() {
		return false
	}
	constant, _ = constant.Unmark()
	switch op {
	case hclsyntax.OpEqual, hclsyntax.OpNotEqual:
		return constant.IsNull() || constant.Type() == cty.String && constant.AsString() == ""
	case hclsyntax.OpAdd, hclsyntax.OpSubtract:
		n, whole := integer(constant)
		return whole && -maxAdded <= n && n <= maxAdded
	}
	return false
}

// guardIndex marks a collection with the variables of the key. HCL returns the
// attribute of an object without them, and a table of letters could spell out a
// value.
//
// The key is evaluated with the collection, and its value held until HCL needs it.
// It is not evaluated twice: nested keys would take exponential time.
func guardIndex(collection, key hclsyntax.Expression) (guardedCollection, guardedKey hclsyntax.Expression) {
	type result struct {
		cty.Value
		diags hcl.Diagnostics
	}
	var held *result
	guardedCollection = &wrapper{collection, true, func(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
		value, diags := collection.Value(ctx)
		if diags.HasErrors() {
			return value, diags
		}
		index, indexDiags := key.Value(ctx)
		held = &result{index, indexDiags}
		_, marks := computed(index).UnmarkDeep()
		return value.WithMarks(marks), diags
	}}
	guardedKey = &wrapper{key, true, func(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
		if held == nil {
			return key.Value(ctx)
		}
		index := held
		held = nil
		return index.Value, index.diags
	}}
	return guardedCollection, guardedKey
}
