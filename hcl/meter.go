package hcl

import (
	"errors"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

const (
	// maxWork limits the cost of a file's expressions. The unit is about one copied
	// byte. A few lines of nested for, or of strings made of strings, could
	// otherwise use all memory. Real files use some thousands.
	maxWork = 4 << 20
	// stepWork is the cost of one iteration of a for, in addition to its
	// result.
	stepWork = 32
)

var errWork = errors.New("the expressions in this file are too expensive")

// meter counts down the rest of maxWork.
type meter struct{ left int }

// spend reports whether enough was left.
func (m *meter) spend(work int) bool {
	if work > m.left {
		m.left = 0
		return false
	}
	m.left -= work
	return true
}

// weight returns about how many bytes v holds, at most limit+1.
func weight(v cty.Value, limit int) int {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() {
		return 1
	}
	switch t := v.Type(); {
	case t == cty.String:
		return min(len(v.AsString()), limit+1)
	case t.IsCapsuleType() || t.IsPrimitiveType() || !v.CanIterateElements():
		return 1
	}
	total := 1
	for it := v.ElementIterator(); it.Next() && total <= limit; {
		_, element := it.Element()
		total += stepWork + weight(element, limit-total)
	}
	return min(total, limit+1)
}

// wrapper is an expression with something added to its evaluation. It embeds
// Expression because only hclsyntax can implement some methods of the interface.
type wrapper struct {
	hclsyntax.Expression
	guards bool // it marks values; otherwise it meters their cost
	value  func(*hcl.EvalContext) (cty.Value, hcl.Diagnostics)
}

// Value evaluates the expression with what was added.
func (w *wrapper) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) { return w.value(ctx) }

// unwrapped returns expr without what meters and guards add.
func unwrapped(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		w, is := expr.(*wrapper)
		if !is {
			return expr
		}
		expr = w.Expression
	}
}

// visit calls f for every node of expr, and looks into wrappers.
func visit(expr hclsyntax.Node, f func(hclsyntax.Node)) {
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if expr, is := node.(hclsyntax.Expression); is {
			node = unwrapped(expr)
		}
		f(node)
		return nil
	})
}

// metered returns expr so that every evaluation of it costs.
func (m *meter) metered(expr hclsyntax.Expression) hclsyntax.Expression {
	if w, is := expr.(*wrapper); is && !w.guards {
		return expr
	}
	if _, is := expr.(*hclsyntax.LiteralValueExpr); is || expr == nil {
		return expr
	}
	return &wrapper{expr, false, func(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
		if !m.spend(stepWork) {
			return cty.DynamicVal, nil
		}
		value, diags := expr.Value(ctx)
		if !m.spend(weight(value, m.left)) {
			return cty.DynamicVal, diags
		}
		return value, diags
	}}
}

// install adds the meter to the parts of expr that are evaluated repeatedly or
// copied: the bodies of for, and the parts of templates.
func (m *meter) install(expr hclsyntax.Expression) {
	visit(expr, func(node hclsyntax.Node) {
		switch e := node.(type) {
		case *hclsyntax.ForExpr:
			e.KeyExpr, e.ValExpr, e.CondExpr = m.metered(e.KeyExpr), m.metered(e.ValExpr), m.metered(e.CondExpr)
		case *hclsyntax.TemplateExpr:
			for i, part := range e.Parts {
				e.Parts[i] = m.metered(part)
			}
		}
	})
}

// charge spends the cost of a call: its arguments, times one of them for the
// functions whose results can be larger than their arguments.
func (m *meter) charge(function string, args []cty.Value) error {
	work, times := stepWork, 1
	for _, arg := range args {
		work += weight(arg, m.left)
	}
	switch function {
	case "distinct", "join":
		times = max(1, weight(args[0], maxWork))
	case "replace":
		times = max(1, weight(args[2], maxWork))
	}
	if work > m.left/times {
		m.left = 0
		return errWork
	}
	m.left -= work * times
	return nil
}

// function returns f, called name, with a cost. Its result has the marks of
// every argument. The functions of cty for lists and objects keep the marks of
// the elements, but not always those of a key. See computes for which results
// are marked as computed.
func (m *meter) function(name string, f function.Function) function.Function {
	// f itself removes the marks that it cannot handle.
	params, others := f.Params(), f.VarParam()
	for i := range params {
		params[i].AllowMarked = true
	}
	if others != nil {
		others.AllowMarked = true
	}
	return function.New(&function.Spec{
		Params: params, VarParam: others,
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := m.charge(name, args); err != nil {
				return cty.DynamicPseudoType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			result, err := f.Call(args)
			if err != nil {
				return result, err
			}
			for _, arg := range args {
				_, marks := arg.Unmark()
				result = result.WithMarks(marks)
			}
			if computes(name, args) {
				result = result.Mark(computedMark{})
			}
			return result, nil
		},
	})
}
