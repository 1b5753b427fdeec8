package hcl

import (
	"errors"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxWork bounds what the expressions of a file may cost, in units of about a
// byte copied: a few lines of for within for, or of strings made of strings,
// would otherwise take all memory. Real files use some thousands.
const maxWork = 4 << 20

// stepWork is what one turn of a for costs beside what it makes.
const stepWork = 32

var errWork = errors.New("the expressions of this file take too much work")

// meter counts down what is left of maxWork.
type meter struct{ left int }

// spend reports whether there was enough left.
func (m *meter) spend(work int) bool {
	if work > m.left {
		m.left = 0
		return false
	}
	m.left -= work
	return true
}

// metered is an expression whose every evaluation costs.
type metered struct {
	// Expression is embedded also because the interface has methods that only
	// hclsyntax can write.
	hclsyntax.Expression
	meter *meter
}

func (e metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if !e.meter.spend(stepWork) {
		return cty.DynamicVal, nil
	}
	value, diags := e.Expression.Value(ctx)
	if !e.meter.spend(weight(value, e.meter.left)) {
		return cty.DynamicVal, diags
	}
	return value, diags
}

// weight is about how many bytes v holds, at most limit+1.
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

// install puts a meter on the parts of expr that are evaluated more than once
// or copied: the bodies of for, and the parts of templates.
func (m *meter) install(expr hclsyntax.Expression) {
	wrap := func(e hclsyntax.Expression) hclsyntax.Expression {
		switch e.(type) {
		case nil, *hclsyntax.LiteralValueExpr, metered:
			return e
		}
		return metered{e, m}
	}
	visit(expr, func(node hclsyntax.Node) {
		switch e := node.(type) {
		case *hclsyntax.ForExpr:
			e.KeyExpr, e.ValExpr, e.CondExpr = wrap(e.KeyExpr), wrap(e.ValExpr), wrap(e.CondExpr)
		case *hclsyntax.TemplateExpr:
			for i, part := range e.Parts {
				e.Parts[i] = wrap(part)
			}
		}
	})
}

// unwrapped is expr without its meter, or what guards add.
func unwrapped(expr hclsyntax.Expression) hclsyntax.Expression {
	for {
		switch wrapped := expr.(type) {
		case metered:
			expr = wrapped.Expression
		case indexed:
			expr = wrapped.Expression
		case indexKey:
			expr = wrapped.Expression
		case computedKey:
			expr = wrapped.Expression
		case *leftOperand:
			expr = wrapped.Expression
		case rightOperand:
			expr = wrapped.Expression
		default:
			return expr
		}
	}
}

// visit calls f for every node of expr, also for those that have a meter.
func visit(expr hclsyntax.Node, f func(hclsyntax.Node)) {
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if expr, is := node.(hclsyntax.Expression); is {
			node = unwrapped(expr)
		}
		f(node)
		return nil
	})
}

// function is f, called name, made to cost: its arguments, times what it may make
// of each. Its result has the marks of every argument as a whole; cty's functions
// of lists and objects keep those of what is inside, but not always those of a
// key. See computes for what is marked as computed.
func (m *meter) function(name string, f function.Function, factor func(args []cty.Value) int) function.Function {
	charge := func(args []cty.Value) error {
		work := stepWork
		for _, arg := range args {
			work += weight(arg, m.left)
		}
		if factor != nil {
			times := factor(args)
			if times > 0 && work > m.left/times {
				m.left = 0
				return errWork
			}
			work *= max(times, 1)
		}
		if !m.spend(work) {
			return errWork
		}
		return nil
	}
	// f itself takes the marks off that it cannot take.
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
			if err := charge(args); err != nil {
				return cty.DynamicPseudoType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			result, err := f.Call(args)
			for _, arg := range args {
				if err == nil {
					_, marks := arg.Unmark()
					result = result.WithMarks(marks)
				}
			}
			if err == nil && computes(name, args) {
				result = result.Mark(computedMark{})
			}
			return result, err
		},
	})
}
