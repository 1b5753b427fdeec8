package hcl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// isLabelKey reports an attribute that other tools have in place of a block's label.
func isLabelKey(name string) bool {
	return slices.Contains([]string{"name", "path", "hostname", "host", "prefix", "domain"}, name)
}

// written returns an expression as it is in the file.
func (r *reader) written(expr hclsyntax.Expression) string {
	at := expr.Range()
	return string(r.text.src[min(at.Start.Byte, len(r.text.src)):min(at.End.Byte, len(r.text.src))])
}

// literal returns the value of an attribute that is a plain string or number; empty
// for any other.
func (r *reader) literal(attr *hclsyntax.Attribute) string {
	if attr == nil || attr.Expr == nil || len(attr.Expr.Variables()) > 0 {
		return ""
	}
	switch e := attr.Expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.Number {
			return r.written(e)
		}
	case *hclsyntax.TemplateExpr:
		if e.IsStringLiteral() {
			value, _ := e.Value(nil)
			return value.AsString()
		}
	}
	return ""
}

// otherForm returns what to write for an attribute of another tool; empty if that is
// not known.
func (r *reader) otherForm(attr *hclsyntax.Attribute, k kind) string {
	value := r.literal(attr)
	if block := strings.TrimSuffix(attr.Name, "s"); block != attr.Name && r.language[block].label != "" && value == "" {
		singular := *attr
		singular.Name = block
		return strings.TrimPrefix(r.blockForm(&singular, &hclsyntax.Body{}, k), "write ")
	}
	if value == "" {
		return ""
	}
	known := slices.Concat(k.attrs, k.blocks)
	switch other := otherWords()[attr.Name]; {
	case other == "upstream" && upstreamForm(value) != "":
		form := "upstream = " + upstreamForm(value)
		switch {
		case slices.Contains(known, "upstream"):
			return form
		case k.label == "" && k.attrs != nil && slices.Contains(k.blocks, "host"):
			return `host "shop.localhost" { ` + form + " }"
		}
	case other == "route" && strings.HasPrefix(value, "/") && slices.Contains(known, "route"):
		return "route " + Quote(value) + " {"
	case other == "route" && k.label == "path":
		return "route " + Quote(value) + ` { as the block's first line`
	case other == "files" && slices.Contains(known, "files"):
		return "files = " + Quote(value)
	case other == "aliases" && slices.Contains(known, "aliases") && sketchName(value) != "":
		return "aliases = [" + Quote(sketchName(value)) + "]"
	}
	if attr.Name == "upstream" && slices.Contains(k.blocks, "host") && upstreamForm(value) != "" {
		return `host "shop.localhost" { upstream = ` + upstreamForm(value) + " }"
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
	if object, is := attr.Expr.(*hclsyntax.ObjectConsExpr); is {
		for _, item := range object.Items {
			key, diags := item.KeyExpr.Value(nil)
			if diags.HasErrors() || key.Type() != cty.String || key.IsNull() || !key.IsKnown() {
				continue
			}
			inner := r.literal(&hclsyntax.Attribute{Expr: item.ValueExpr})
			if isLabelKey(key.AsString()) && inner != "" {
				value = inner
			} else if strings.HasPrefix(key.AsString(), "/") || isSiteName(key.AsString()) {
				value = key.AsString()
			}
		}
	}
	if tuple, is := attr.Expr.(*hclsyntax.TupleConsExpr); is && len(tuple.Exprs) > 0 {
		value = r.literal(&hclsyntax.Attribute{Expr: tuple.Exprs[0]})
	}
	if written := r.written(attr.Expr); value == "" && name == "host" && isSiteName(written) {
		value = sketchName(written) // without its quotes
	}
	if value == "" {
		value = exampleLabel(name)
	}
	if name == "host" && k.label == "" {
		for _, other := range sortedKeys(body.Attributes) {
			if form := upstreamForm(r.literal(body.Attributes[other])); form != "" && isPortKey(other) {
				return fmt.Sprintf("write host %s { upstream = %s }", Quote(value), form)
			}
		}
	}
	return fmt.Sprintf("write %s %s {%s", name, Quote(value), where)
}

// attributeForm returns what to write for a block that should be an attribute.
func (r *reader) attributeForm(syntax *hclsyntax.Block) string {
	form := attributeExamples()[syntax.Type]
	if form == "" {
		return syntax.Type + " = {"
	}
	if syntax.Type == "upstream" || syntax.Type == "fallback" {
		for _, name := range sortedKeys(syntax.Body.Attributes) {
			if found := upstreamForm(r.literal(syntax.Body.Attributes[name])); found != "" && (isPortKey(name) || name == "servers") {
				form = syntax.Type + " = " + found
			}
		}
	}
	return form
}

// blockOf returns what to write for a block of another tool, or one in the plural;
// empty if that is not known.
func (r *reader) blockOf(syntax *hclsyntax.Block, outer kind) string {
	meant := otherWords()[syntax.Type]
	if plural := strings.TrimSuffix(syntax.Type, "s"); plural != syntax.Type && r.language[plural].label != "" {
		meant = plural
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
		form := "route " + Quote(pathPrefix(label)) + " {"
		if !slices.Contains(outer.blocks, "route") {
			form += " in a host"
		}
		return form
	case meant == "upstream" && slices.Contains(outer.words(), "upstream"):
		if form := upstreamForm(label); form != "" {
			return "upstream = " + form
		}
		return "upstream = 3000"
	case slices.Contains(outer.words(), meant):
		return r.attributeForm(&hclsyntax.Block{Type: meant, Body: syntax.Body})
	case meant == "route" && label == "" && slices.Contains(outer.blocks, "route"):
		return `route "/api" {`
	case (meant == "host" || meant == "service") && slices.Contains(outer.blocks, meant):
		if meant == "host" {
			label = sketchName(label)
		}
		if label == "" {
			label = exampleLabel(meant)
		}
		return meant + " " + Quote(label) + " {"
	}
	return ""
}

// attributeExamples returns the attributes that take a plain value, each with one.
func attributeExamples() map[string]string {
	return map[string]string{
		"upstream": "upstream = 3000", "fallback": "fallback = 3000", "files": `files = "public"`, "redirect": `redirect = "/docs"`, "spa": "spa = true", "cors": "cors = true",
		"compress": "compress = true", "timeout": `timeout = "30s"`, "hold": `hold = "10s"`, "aliases": `aliases = ["shop.localhost"]`, "share": "share = false",
		"allow": `allow = ["10.0.0.0/8"]`, "deny": `deny = ["10.0.0.0/8"]`, "max_body": `max_body = "10MB"`, "balance": `balance = "least_conn"`,
		"exact": "exact = true", "strip_prefix": "strip_prefix = true", "rewrite": `rewrite = "/v1{rest}"`, "status": "status = 301", "tls_skip_verify": "tls_skip_verify = true",
		"try_files": `try_files = "public"`, "forwarded_proto": `forwarded_proto = "http"`,
	}
}
