package hcl

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// envMark marks what the environment variable of this name flows into. cty
// carries marks through templates, conditionals, for expressions and functions.
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
	if len(b) == 0 {
		return a
	}
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

// choosing returns which arguments of a function choose its result, which is the
// other arguments or parts of them as they are. The result of any function that is
// unknown here is computed.
func choosing(function string) (arguments []int, known bool) {
	switch function {
	case "coalesce", "concat", "flatten", "merge", "tobool", "tonumber", "tostring":
		return nil, true
	case "env": // its name
		return []int{0}, true
	case "element", "lookup": // the index
		return []int{1}, true
	}
	return nil, false
}

// computes reports whether the result of function reveals something about the
// variables in args other than their values.
func computes(function string, args []cty.Value) bool {
	choosers, known := choosing(function)
	if !known {
		return slices.ContainsFunc(args, hasVariables)
	}
	return slices.ContainsFunc(choosers, func(i int) bool { return i < len(args) && hasVariables(args[i]) })
}

// guardOperands marks the results of operators, and objects whose names come from
// the environment, as computed. Those of "&&", "||" and "!" only combine values
// that are marked themselves.
func guardOperands(expr hclsyntax.Expression) {
	visit(expr, func(node hclsyntax.Node) {
		switch e := node.(type) {
		case *hclsyntax.BinaryOpExpr:
			if e.Op == hclsyntax.OpLogicalAnd || e.Op == hclsyntax.OpLogicalOr || isGuarded(e.LHS) {
				return
			}
			left := &leftOperand{wrapper: wrapper{e.LHS}}
			e.LHS, e.RHS = left, rightOperand{wrapper{e.RHS}, left, e.Op}
		case *hclsyntax.ForExpr:
			// The order of the result, and which elements are grouped.
			if e.KeyExpr != nil && !isGuarded(e.KeyExpr) {
				e.KeyExpr = computedKey{wrapper{e.KeyExpr}}
			}
		case *hclsyntax.ObjectConsExpr:
			for i, item := range e.Items {
				if !isGuarded(item.KeyExpr) {
					e.Items[i].KeyExpr = computedKey{wrapper{item.KeyExpr}}
				}
			}
		}
	})
}

func isGuarded(expr hclsyntax.Expression) bool {
	if m, is := expr.(metered); is {
		expr = m.Expression
	}
	switch expr.(type) {
	case *leftOperand, computedKey:
		return true
	}
	return false
}

// computedKey is the name of an element, by which it is found and ordered.
type computedKey struct{ wrapper }

// Value returns the name, marked as computed.
func (e computedKey) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := e.Expression.Value(ctx)
	return computed(value), diags
}

// leftOperand keeps its value for rightOperand, which is evaluated later and marks
// the result for both.
type leftOperand struct {
	wrapper
	value cty.Value
}

func (e *leftOperand) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := e.Expression.Value(ctx)
	e.value = value
	return value, diags
}

type rightOperand struct {
	wrapper
	left *leftOperand
	op   *hclsyntax.Operation
}

// Value returns the operand, marked as computed if the result is: the result has
// the marks of both operands.
func (e rightOperand) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	left := e.left.value // an operand can contain the same local, and so this operator
	value, diags := e.Expression.Value(ctx)
	if left == cty.NilVal || !hasVariables(left) && !hasVariables(value) || keepsAll(e.op, left) || keepsAll(e.op, value) {
		return value, diags
	}
	return value.Mark(computedMark{}), diags
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

// guardIndices makes the variables of an index flow into what it selects. HCL
// returns the attribute of an object without them, and a table of letters could
// spell out a value.
func guardIndices(expr hclsyntax.Expression) {
	visit(expr, func(node hclsyntax.Node) {
		index, is := node.(*hclsyntax.IndexExpr)
		if !is {
			return
		}
		if _, done := index.Collection.(indexed); !done {
			key := &heldKey{expr: index.Key}
			index.Collection, index.Key = indexed{wrapper{index.Collection}, key}, indexKey{wrapper{index.Key}, key}
		}
	})
}

// heldKey is the value of a key between the evaluation of collection and index.
type heldKey struct {
	expr  hclsyntax.Expression
	value cty.Value
	diags hcl.Diagnostics
	held  bool
}

// indexed is the collection of an index expression. The variables of the key flow
// into its value.
type indexed struct {
	wrapper
	key *heldKey
}

// Value returns the collection, marked with the variables of the key.
func (e indexed) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	collection, diags := e.Expression.Value(ctx)
	if diags.HasErrors() {
		return collection, diags
	}
	e.key.value, e.key.diags = e.key.expr.Value(ctx)
	e.key.held = true
	_, marks := computed(e.key.value).UnmarkDeep()
	return collection.WithMarks(marks), diags
}

// indexKey is the key of an index expression, which is evaluated after the
// collection. It is not evaluated twice: nested keys would take exponential time.
type indexKey struct {
	wrapper
	key *heldKey
}

// Value returns what was evaluated for the collection.
func (e indexKey) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if !e.key.held {
		return e.Expression.Value(ctx)
	}
	value, diags := e.key.value, e.key.diags
	*e.key = heldKey{expr: e.key.expr}
	return value, diags
}
