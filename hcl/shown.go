package hcl

import (
	"maps"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

const (
	// maxShown limits the short form of a shown text, in bytes.
	maxShown = 400
	// maxShownDepth is how deep an expression is followed, and maxShownParts how many of
	// its parts are shown with their values. The rest is shown as it is written.
	maxShownDepth, maxShownParts = 20, 200
	// maxLocals limits the text of the locals of a file that are written out, in bytes. A
	// file needs more if thousands of values refer to all locals.
	maxLocals = 4 << 20
)

// display composes the text of one value as it may be shown. It never contains a value of
// the environment, or anything made of one. What a choice can lead to is all in it: who
// reads it before allowing something sees each of the values.
type display struct {
	*scope
	parts int // followed so far
	// written are the parts that are shown as they are written. They can name locals.
	written []hclsyntax.Expression
}

// shown returns the value of expr with ${NAME} in place of values from the environment,
// and the locals that the text names.
func (s *scope) shown(expr hclsyntax.Expression, t *text) (whole, locals string) {
	d := &display{scope: s}
	whole = printable(d.text(expr, t, 0))
	named := s.localsOf(d.written)
	if len(named) == 0 {
		return whole, ""
	}
	locals = strings.Join(mapped(sortedKeys(named), func(name string) string {
		attr := named[name].attr
		return name + " = " + printable(attr.text.line(attr.Expr))
	}), ", ")
	if s.shownLocals += len(locals); s.shownLocals > maxLocals {
		s.reportWork(expr, t)
		return whole, ""
	}
	return whole, locals
}

// shortened is a shown text with both of its ends: the last labels of a host name are the
// important ones.
func shortened(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown/2]+" … "+text[len(text)-maxShown/2:], "")
}

// localsOf returns the locals, the upstreams of services and the listen of ports that
// expressions refer to, and those that these refer to, by what they are called: "local.a",
// "service.api.upstream". A reference to all of them means all.
func (s *scope) localsOf(all []hclsyntax.Expression) map[string]*node {
	found := map[string]*node{}
	var add func(expr hclsyntax.Expression)
	follow := func(n *node) {
		if n == nil || n.attr == nil {
			return
		}
		name := n.title
		switch root, _, _ := strings.Cut(name, "."); root {
		case "service":
			name += ".upstream"
		case "tcp", "udp":
			name += ".listen"
		}
		if found[name] == nil {
			found[name] = n
			add(n.attr.Expr)
		}
	}
	add = func(expr hclsyntax.Expression) {
		for _, reference := range s.prepare(expr).references {
			nodes := s.nodes()[reference.RootName()]
			if name, _, named := member(reference); named {
				follow(nodes[name])
				continue
			}
			for _, n := range nodes {
				follow(n)
			}
		}
	}
	for _, expr := range all {
		add(expr)
	}
	return found
}

// text returns a value as a part of a text: "https://${STAGE}.example.com".
func (d *display) text(expr hclsyntax.Expression, t *text, depth int) string {
	expr = unwrapped(expr)
	if !d.follows(depth) {
		return "${" + d.code(expr, t) + "}"
	}
	if plain := d.plain(expr, t); plain != cty.NilVal {
		if text, err := convert.Convert(plain, cty.String); err == nil && text.IsKnown() && !text.IsNull() {
			return text.AsString()
		}
		return "${" + d.code(expr, t) + "}"
	}
	switch e := expr.(type) {
	case *hclsyntax.TemplateExpr:
		var out strings.Builder
		for _, part := range e.Parts {
			out.WriteString(d.text(part, t, depth+1))
		}
		return out.String()
	case *hclsyntax.TemplateWrapExpr, *hclsyntax.ParenthesesExpr:
		return d.text(partsOf(expr)[0], t, depth+1)
	case *hclsyntax.FunctionCallExpr:
		// A format string can hide a part of a host name in the arguments.
		args := mapped(e.Args, func(arg hclsyntax.Expression) string { return d.text(arg, t, depth+1) })
		if e.Name == "env" && len(args) > 0 {
			return "${" + args[0] + "}"
		}
		return "${" + e.Name + "(" + strings.Join(args, ", ") + ")}"
	case *hclsyntax.ScopeTraversalExpr:
		if local := d.localOf(e); local != nil {
			return d.text(local.attr.Expr, local.attr.text, depth+1)
		}
	}
	return "${" + d.operand(expr, t, depth) + "}"
}

// operand returns a value as a part of an expression: "https://a.example" with its quotes.
func (d *display) operand(expr hclsyntax.Expression, t *text, depth int) string {
	expr = unwrapped(expr)
	if !d.follows(depth) {
		return d.code(expr, t)
	}
	if plain := d.plain(expr, t); plain != cty.NilVal {
		if plain.Type() == cty.String && !plain.IsNull() {
			return strconv.Quote(plain.AsString())
		}
		if text, err := ctyjson.Marshal(plain, plain.Type()); err == nil {
			return string(text)
		}
		return d.code(expr, t)
	}
	inner := func(part hclsyntax.Expression) string { return d.operand(part, t, depth+1) }
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return "(" + inner(e.Expression) + ")"
	case *hclsyntax.ConditionalExpr:
		return d.code(e.Condition, t) + " ? " + inner(e.TrueResult) + " : " + inner(e.FalseResult)
	case *hclsyntax.IndexExpr:
		return inner(e.Collection) + "[" + inner(e.Key) + "]"
	case *hclsyntax.TupleConsExpr:
		return "[" + strings.Join(mapped(e.Exprs, inner), ", ") + "]"
	case *hclsyntax.ObjectConsExpr:
		return "{ " + strings.Join(mapped(e.Items, func(item hclsyntax.ObjectConsItem) string {
			return d.code(item.KeyExpr, t) + " = " + inner(item.ValueExpr)
		}), ", ") + " }"
	case *hclsyntax.FunctionCallExpr:
		if e.Name != "env" {
			return e.Name + "(" + strings.Join(mapped(e.Args, inner), ", ") + ")"
		}
	case *hclsyntax.ScopeTraversalExpr:
		if local := d.localOf(e); local != nil {
			text := d.operand(local.attr.Expr, local.attr.text, depth+1)
			if strings.Contains(text, " ") {
				text = "(" + text + ")"
			}
			return text
		}
	}
	return d.code(expr, t)
}

// follows reports whether another part is followed.
func (d *display) follows(depth int) bool {
	d.parts++
	return depth <= maxShownDepth && d.parts <= maxShownParts
}

// localOf returns the local that e is; nil for a part of one, and for anything else.
func (d *display) localOf(e *hclsyntax.ScopeTraversalExpr) *node {
	name, _, named := member(e.Traversal)
	if !named || len(e.Traversal) != 2 || e.Traversal.RootName() != "local" {
		return nil
	}
	return d.locals[name]
}

// plain returns the value of an expression that no variable flows into; NilVal for any
// other, and for one that cannot be evaluated: a choice that is not taken may have a
// mistake, which is not reported.
func (d *display) plain(expr hclsyntax.Expression, t *text) cty.Value {
	before, exhausted := *d.reporter, d.exhausted
	d.reported = maps.Clone(before.reported)
	value := d.value(expr, t)
	*d.reporter, d.exhausted = before, exhausted
	plain, marks := value.UnmarkDeep()
	if !plain.IsWhollyKnown() || len(names(marks)) > 0 {
		return cty.NilVal
	}
	return plain
}

// code returns an expression as it is written, and notes that it is.
func (d *display) code(expr hclsyntax.Expression, t *text) string {
	d.written = append(d.written, expr)
	return t.line(expr)
}

// line returns an expression on one line as it is written, without comments, which can
// look like code there, and without escape sequences for printable characters.
func (t *text) line(expr hclsyntax.Expression) string {
	written := t.written(expr.Range())
	tokens, diags := hclsyntax.LexExpression([]byte(written), "", hcl.InitialPos)
	if diags.HasErrors() {
		return strings.Join(strings.Fields(written), " ")
	}
	var out strings.Builder
	end := 0
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenComment, hclsyntax.TokenNewline, hclsyntax.TokenEOF:
			continue
		}
		if token.Range.Start.Byte > end && out.Len() > 0 {
			out.WriteByte(' ')
		}
		end = token.Range.End.Byte
		text := string(token.Bytes)
		if token.Type == hclsyntax.TokenQuotedLit {
			text = readable(text)
		}
		out.WriteString(text)
	}
	return out.String()
}

// readable returns the inside of a quoted string with the characters that its escape
// sequences mean. Those that cannot be shown have one again.
func readable(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	expr, diags := hclsyntax.ParseExpression([]byte(`"`+text+`"`), "", hcl.InitialPos)
	if diags.HasErrors() {
		return text
	}
	plain, ok := literalText(expr)
	if !ok {
		return text
	}
	quoted := strconv.Quote(plain)
	return quoted[1 : len(quoted)-1]
}
