package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// guardIndices has what an index picks carry the variables of the index: of an
// object, HCL gives the attribute without them, and a table of letters would
// spell a value out.
func guardIndices(expr hclsyntax.Expression) {
	visit(expr, func(node hclsyntax.Node) {
		index, is := node.(*hclsyntax.IndexExpr)
		if !is {
			return
		}
		if _, done := index.Collection.(indexed); !done {
			key := &heldKey{expr: index.Key}
			index.Collection, index.Key = indexed{index.Collection, key}, indexKey{index.Key, key}
		}
	})
}

// indexed is the collection of an index expression. Its value has the variables
// of the key too.
type indexed struct {
	hclsyntax.Expression
	key *heldKey
}

// Value is the collection, marked with the variables of the key.
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

// indexKey is the key of an index expression, which asks for it after its
// collection. It is not evaluated twice: keys of keys would take all day.
type indexKey struct {
	hclsyntax.Expression
	key *heldKey
}

// Value is what was evaluated for the collection.
func (e indexKey) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if !e.key.held {
		return e.Expression.Value(ctx)
	}
	value, diags := e.key.value, e.key.diags
	*e.key = heldKey{expr: e.key.expr}
	return value, diags
}

// heldKey is the value of a key between the two.
type heldKey struct {
	expr  hclsyntax.Expression
	value cty.Value
	diags hcl.Diagnostics
	held  bool
}
