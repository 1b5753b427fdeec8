package hcl

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// decodePassword decodes the password of a share. One that the environment
// lacks is no mistake of the file: people who do not share need not know it.
func (d *decoder) decodePassword(b *body, share *Share) {
	attr := b.attrs["password"]
	if attr == nil {
		return
	}
	if name := variableOf(attr); name != "" && d.env.getenv(name) == "" {
		share.Unset = name
		return
	}
	v, present := d.get(b, "password")
	if !present {
		return
	}
	text, ok := d.str(v, "password")
	switch {
	case !ok:
		return
	case text == "":
		d.errorf(v.at(), "leave it out for none", "password is empty")
		return
	case d.isCommitted(attr) && d.isLiteral(attr.Expr):
		d.warnf(v.at(), `write env("SHARE_PASSWORD"), or move it to `+LocalName, "the password is in a file that others read")
	}
	share.Password = text
}

// variableOf is NAME of an expression env("NAME"), else empty.
func variableOf(attr *attribute) string {
	call, is := attr.Expr.(*hclsyntax.FunctionCallExpr)
	if !is || call.Name != "env" || len(call.Args) != 1 || call.ExpandFinal || attr.text.holed(attr.Expr.Range()) {
		return ""
	}
	name, diags := call.Args[0].Value(nil)
	if diags.HasErrors() || name.Type() != cty.String || !name.IsWhollyKnown() || name.IsNull() {
		return ""
	}
	return name.AsString()
}

// isCommitted reports whether attr is in a file that is under version control.
func (d *decoder) isCommitted(attr *attribute) bool {
	return !strings.HasSuffix(attr.text.name, LocalName)
}

// isLiteral reports whether expr says the whole value: it neither refers to
// anything nor asks the environment.
func (d *decoder) isLiteral(expr hclsyntax.Expression) bool {
	p := d.scope.prepare(expr)
	return len(p.references) == 0 && !slices.ContainsFunc(p.calls, func(call *hclsyntax.FunctionCallExpr) bool { return call.Name == "env" })
}
