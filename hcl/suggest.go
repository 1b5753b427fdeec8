package hcl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// suggest returns the advice for the unknown word name in a body of kind k.
func (r *reader) suggest(name string, k kind) string {
	known := slices.Concat(k.words(), k.blocks)
	if other := otherWords()[name]; slices.Contains(known, other) {
		return fmt.Sprintf("did you mean %q?", other)
	}
	if found := owners(r.language, name); len(found) > 0 {
		return "it is an attribute of " + alternatives(found)
	}
	built := slices.DeleteFunc(slices.Concat(k.attrs, k.blocks), func(word string) bool { return r.language[word].notBuilt != "" })
	return didYouMean(name, known, "known here: "+strings.Join(built, ", "))
}

// literal returns the value of an attribute that is a plain string or number, and
// "" for any other.
func (r *reader) literal(attr *hclsyntax.Attribute) string {
	if attr == nil || attr.Expr == nil || len(attr.Expr.Variables()) > 0 {
		return ""
	}
	switch e := attr.Expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.Number {
			return r.text.written(e.Range())
		}
	case *hclsyntax.TemplateExpr:
		if e.IsStringLiteral() {
			text, _ := literalText(e) // unknown in a text that is not closed
			return text
		}
	}
	return ""
}

// otherForm returns the advice for an attribute of another tool, or "" if it is not
// known.
func (r *reader) otherForm(attr *hclsyntax.Attribute, k kind) string {
	value := r.literal(attr)
	if block := strings.TrimSuffix(attr.Name, "s"); block != attr.Name && r.language[block].label != "" && value == "" {
		singular := *attr
		singular.Name = block
		return r.blockForm(&singular, &hclsyntax.Body{}, k)
	}
	if value == "" {
		return ""
	}
	has := func(word string) bool { return slices.Contains(k.attrs, word) || slices.Contains(k.blocks, word) }
	upstream, name := upstreamForm(value), convertName(value)
	switch other := otherWords()[attr.Name]; {
	case upstream != "" && other == "upstream" && has("upstream"):
		return "write upstream = " + upstream
	case upstream != "" && (other == "upstream" || attr.Name == "upstream") && has("host"):
		return `write host "shop.localhost" { upstream = ` + upstream + " }"
	case other == "route" && strings.HasPrefix(value, "/") && has("route"):
		return "write route " + Quote(value) + " {"
	case other == "route" && k.label == "path":
		return "write route " + Quote(value) + ` { as the block's first line`
	case other == "files" && has("files"):
		return "write files = " + Quote(value)
	case other == "aliases" && has("aliases") && name != "":
		return "write aliases = [" + Quote(name) + "]"
	}
	return ""
}

// blockForm returns the advice for an attribute that should be a block.
func (r *reader) blockForm(attr *hclsyntax.Attribute, body *hclsyntax.Body, k kind) string {
	name, value := attr.Name, r.literal(attr)
	where := ""
	if !slices.Contains(k.blocks, name) {
		where = ", at the top level"
		if name == "route" {
			where = ", in a host"
		}
	}
	switch name {
	case "listen":
		if value == "80" {
			return "write listen { http = 80 }" + where
		}
		if value != "" && !allDigits.MatchString(value) {
			value = Quote(value)
		}
		return "write listen { https = " + cmp.Or(value, "8443") + " }" + where
	case "share":
		if strings.Contains(value, ".") {
			return "write share { relay = " + Quote(value) + " }" + where
		}
		return `write share { expires = "2h" }` + where
	case "locals":
		return "write locals {" + where
	}
	value = cmp.Or(r.labelInside(attr, value), exampleLabel(name))
	if name == "host" && k.label == "" {
		for _, other := range sortedKeys(body.Attributes) {
			if form := upstreamForm(r.literal(body.Attributes[other])); form != "" && isPortKey(other) {
				return fmt.Sprintf("write host %s { upstream = %s }", Quote(value), form)
			}
		}
	}
	return fmt.Sprintf("write %s %s {%s", name, Quote(value), where)
}

// labelInside returns the label for an attribute that should be a block: a name
// or path in its value. It returns label if there is none.
func (r *reader) labelInside(attr *hclsyntax.Attribute, label string) string {
	switch e := attr.Expr.(type) {
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			key, ok := literalText(item.KeyExpr)
			inner := r.literal(&hclsyntax.Attribute{Expr: item.ValueExpr})
			switch {
			case !ok:
			case isLabelKey(key) && inner != "":
				label = inner
			case strings.HasPrefix(key, "/") || isSiteName(key):
				label = key
			}
		}
	case *hclsyntax.TupleConsExpr:
		if len(e.Exprs) > 0 {
			label = r.literal(&hclsyntax.Attribute{Expr: e.Exprs[0]})
		}
	}
	if written := r.text.written(attr.Expr.Range()); label == "" && attr.Name == "host" && isSiteName(written) {
		return convertName(written) // without its quotes
	}
	return label
}

// attributeForm returns the advice for a block that should be an attribute.
func (r *reader) attributeForm(syntax *hclsyntax.Block) string {
	form := cmp.Or(attributeExamples()[syntax.Type], syntax.Type+" = {")
	if syntax.Type == "upstream" || syntax.Type == "fallback" {
		for _, name := range sortedKeys(syntax.Body.Attributes) {
			if found := upstreamForm(r.literal(syntax.Body.Attributes[name])); found != "" && (isPortKey(name) || name == "servers") {
				form = syntax.Type + " = " + found
			}
		}
	}
	return "write " + form
}

// otherBlock returns the advice for a block of another tool, or for one in the
// plural. It returns "" if it is not known.
func (r *reader) otherBlock(syntax *hclsyntax.Block, outer kind) string {
	meant := otherWords()[syntax.Type]
	if singular := strings.TrimSuffix(syntax.Type, "s"); singular != syntax.Type && r.language[singular].label != "" {
		meant = singular
	}
	label := ""
	if len(syntax.Labels) > 0 {
		label = syntax.Labels[0]
	}
	if syntax.Type == "upstream" && slices.Contains(outer.blocks, "service") {
		meant = "service"
	}
	switch {
	case meant == "route" && strings.HasPrefix(label, "/"):
		form := "write route " + Quote(pathPrefix(label)) + " {"
		if !slices.Contains(outer.blocks, "route") {
			form += " in a host"
		}
		return form
	case meant == "upstream" && slices.Contains(outer.words(), "upstream"):
		return "write upstream = " + cmp.Or(upstreamForm(label), "3000")
	case slices.Contains(outer.words(), meant):
		return r.attributeForm(&hclsyntax.Block{Type: meant, Body: syntax.Body})
	case meant == "route" && label == "" && slices.Contains(outer.blocks, "route"):
		return `write route "/api" {`
	case (meant == "host" || meant == "service") && slices.Contains(outer.blocks, meant):
		if meant == "host" {
			label = convertName(label)
		}
		return "write " + meant + " " + Quote(cmp.Or(label, exampleLabel(meant))) + " {"
	}
	return ""
}
