package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// computedMark marks values that tell something about a variable other than its
// whole value: a part of it, its length, or whether it equals something. A few
// settings computed like that spell out a value that none of them contains.
//
// Results that are as telling as the value itself are not marked: a conversion, a
// part of a longer text, a number with a constant added. Nor is a comparison with
// "" or null, which says only whether the variable is set.
type computedMark struct{}

// computed is v, marked as computed if a variable flows into it.
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

// choosing returns which arguments of a function must not come from the
// environment, so that its result is the other arguments or parts of them as they
// are. The result of any function that is not known here is computed.
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

// computes reports whether a call of function makes something else of the
// variables in args than their values.
func computes(function string, args []cty.Value) bool {
	choosers, known := choosing(function)
	if known {
		var chosen []cty.Value
		for _, i := range choosers {
			if i < len(args) {
				chosen = append(chosen, args[i])
			}
		}
		args = chosen
	}
	for _, arg := range args {
		if hasVariables(arg) {
			return true
		}
	}
	return false
}

// guardOperands has the results of operators, and objects whose names come from
// the environment, marked as computed. Those of "&&", "||" and "!" only combine
// values that are marked themselves.
func guardOperands(expr hclsyntax.Expression) {
	visit(expr, func(node hclsyntax.Node) {
		switch e := node.(type) {
		case *hclsyntax.BinaryOpExpr:
			if e.Op == hclsyntax.OpLogicalAnd || e.Op == hclsyntax.OpLogicalOr || isGuarded(e.LHS) {
				return
			}
			left := &leftOperand{Expression: e.LHS}
			e.LHS, e.RHS = left, rightOperand{e.RHS, left, e.Op}
		case *hclsyntax.ForExpr:
			// The order of the result, and which elements are grouped.
			if e.KeyExpr != nil && !isGuarded(e.KeyExpr) {
				e.KeyExpr = computedKey{e.KeyExpr}
			}
		case *hclsyntax.ObjectConsExpr:
			for i, item := range e.Items {
				if !isGuarded(item.KeyExpr) {
					e.Items[i].KeyExpr = computedKey{item.KeyExpr}
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

// maxAdded bounds the constants that are added to a variable: any port.
const maxAdded = 65535

// computedKey is the name of an element, by which it is found and ordered.
type computedKey struct{ hclsyntax.Expression }

// Value is the name, marked as computed.
func (e computedKey) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := e.Expression.Value(ctx)
	return computed(value), diags
}

// leftOperand keeps its value for rightOperand, which is evaluated after it and
// marks the result for both.
type leftOperand struct {
	hclsyntax.Expression
	value cty.Value
}

// Value is the operand's.
func (e *leftOperand) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	value, diags := e.Expression.Value(ctx)
	e.value = value
	return value, diags
}

type rightOperand struct {
	hclsyntax.Expression
	left *leftOperand
	op   *hclsyntax.Operation
}

// Value is the operand's, marked as computed where the result is: the result has
// the marks of both operands.
func (e rightOperand) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	left := e.left.value // an operand can contain the same local, and so this operator
	value, diags := e.Expression.Value(ctx)
	if left == cty.NilVal || !hasVariables(left) && !hasVariables(value) || tellsAll(e.op, left) || tellsAll(e.op, value) {
		return value, diags
	}
	return value.Mark(computedMark{}), diags
}

// tellsAll reports an operator with a constant whose result is as telling as the
// other operand: a test whether that is set, or a small number added to it. A
// large number would take digits away, since numbers have a limited precision.
func tellsAll(op *hclsyntax.Operation, constant cty.Value) bool {
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
