package hcl

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// environmentSummary is the summary for a variable of the environment that is read
// in the way of another tool.
const environmentSummary = "use env() to read a variable of the environment"

// otherVariable matches how other tools read a variable: $PORT and ${PORT} of
// shells, ${PORT:-3000}, {env.PORT} and {$PORT:3000} of Caddy, %PORT% of
// Windows, process.env.PORT and import.meta.env.PORT of JavaScript, {{PORT}}.
// In each of these, one group has the name, and the next the default.
var otherVariable = regexp.MustCompile(`\$\{[ \t]*(?:process\.env\.|import\.meta\.env\.|\.?[Ee]nv\.)?([A-Za-z_]\w*)(?::?-([^{}"]*))?[ \t]*\}` +
	`|\{\$([A-Za-z_]\w*)(?::([^{}"]*))?\}` +
	`|\$(?:env:)?([A-Za-z_]\w*)()` +
	`|\{\{?[ \t]*(?:env\.|\.Env\.|\$)?([A-Z_][A-Z0-9_]*)[ \t]*\}\}?()` +
	`|%([A-Za-z_]\w*)%()` +
	`|\b(?:process\.env|import\.meta\.env|Deno\.env|os\.environ|ENV)(?:\.|\[["'])([A-Za-z_]\w*)(?:["']\])?(?:[ \t]*(?:\|\||\?\?)[ \t]*["']?([^"'\s}]*)["']?)?`)

// envExpression returns the expression for text, a string or a value without
// quotes, that reads variables in the way of other tools. It is "" if text reads
// none.
func envExpression(text string) string {
	found := otherVariable.FindAllStringSubmatchIndex(text, -1)
	if found == nil {
		return ""
	}
	if m := found[0]; len(found) == 1 && m[0] == 0 && m[1] == len(text) {
		return variableCall(text, m)
	}
	var out strings.Builder
	at := 0
	for _, m := range found {
		out.WriteString(text[at:m[0]] + "${" + variableCall(text, m) + "}")
		at = m[1]
	}
	return `"` + out.String() + text[at:] + `"`
}

// variableCall returns env("NAME", "DEFAULT") for a match of otherVariable.
func variableCall(text string, m []int) string {
	for group := range slices.Chunk(m[2:], 4) { // start and end of name and default
		if group[0] < 0 {
			continue
		}
		fallback := ""
		if group[2] >= 0 {
			fallback = text[group[2]:group[3]]
		}
		return envCall(text[group[0]:group[1]], fallback)
	}
	return ""
}

// envCall returns a call of env(). An empty fallback means the usual one for such a
// name, if any.
func envCall(name, fallback string) string {
	if fallback == "" {
		upper := strings.ToUpper(name)
		for _, usual := range [][2]string{
			{"PORT", "3000"}, {"HOST", "localhost"}, {"HOSTNAME", "localhost"}, {"URL", "http://localhost:3000"}, {"ORIGIN", "http://localhost:3000"},
		} {
			if strings.HasSuffix(upper, usual[0]) {
				fallback = usual[1]
			}
		}
	}
	if fallback == "" {
		return `env("` + name + `")`
	}
	return `env("` + name + `", ` + Quote(fallback) + `)`
}

var reference = regexp.MustCompile(`^(?:service|local)\.[\w-]+$`)

// upstreamForm returns an address of another tool as the value of upstream, or ""
// if text is not an address.
func upstreamForm(text string) string {
	text = strings.Trim(text, `"'`+"`")
	if reference.MatchString(text) {
		return text
	}
	if expr := envExpression(text); expr != "" {
		return expr
	}
	upstream, prefix := convertUpstream(text)
	if prefix != "" && prefix != "/" {
		return ""
	}
	return upstream
}

// upstreamsForm returns the value of upstream for the addresses among args, and a
// remark to add to the advice.
func upstreamsForm(args []string) (form, remark string) {
	var forms []string
	for _, arg := range args {
		if socket, found := strings.CutPrefix(arg, "unix/"); found {
			forms = append(forms, Quote("unix:"+socket))
			continue
		}
		upstream, prefix := convertUpstream(arg)
		if upstream == "" {
			continue
		}
		if prefix = strings.TrimSuffix(prefix, "/"); prefix != "" {
			remark = "; for the path, rewrite = " + Quote(prefix+"{rest}")
		}
		forms = append(forms, upstream)
	}
	switch len(forms) {
	case 0:
		return "3000", "; 3000 is the port of your server"
	case 1:
		return forms[0], remark
	}
	return "[" + strings.Join(forms, ", ") + "]", remark
}

// contents returns the attribute that goes into a block for text, which is an
// attribute or an address, perhaps in braces. It returns "" for any other text.
func contents(text string) string {
	text = strings.TrimRight(text, ";, \t")
	for _, text := range []string{text, strings.Trim(text, "{} \t")} {
		if m := setting.FindStringSubmatch(text); m != nil && isAttribute(m[1]) {
			return m[1] + " = " + m[2]
		}
		if upstream := upstreamForm(text); upstream != "" {
			return "upstream = " + upstream
		}
	}
	return ""
}

// routeAdvice returns the advice for a path that has an address or attribute, in a
// block of the kind inside.
func routeAdvice(path, has, inside string) string {
	at := cmp.Or(pathPrefix(path), "/")
	has, _, _ = strings.Cut(has, ", ")
	form := contents(has)
	if at == "/" && inside == "host" && strings.HasPrefix(form, "upstream") {
		return "write " + form
	}
	where := ""
	if inside != "host" {
		where = " in a host"
	}
	if form == "" {
		return "write route " + Quote(at) + " {" + where
	}
	return "write route " + Quote(at) + " { " + form + " }" + where
}

// hostAdvice returns the advice for a name that has an address or attribute.
func hostAdvice(name, has string) string {
	if form := contents(has); form != "" {
		return fmt.Sprintf("write host %q { %s }", name, form)
	}
	return fmt.Sprintf("write host %q {", name)
}

// upstreamAdvice returns the advice for an upstream in a block of the kind inside.
func upstreamAdvice(form, inside string) string {
	if inside == "" {
		return hostAdvice("shop"+suffix, "upstream = "+form)
	}
	return "write upstream = " + form
}

// rewriteAdvice returns the advice for a rewrite to a path.
func rewriteAdvice(args []string, inside string) string {
	where := ""
	if inside != "route" {
		where = " in a route"
	}
	args = slices.DeleteFunc(slices.Clone(args), func(flag string) bool { return flag == "break" || flag == "last" })
	to := ""
	if len(args) > 0 {
		to = strings.NewReplacer("/$1", "{rest}", "/{path}", "{rest}", "{uri}", "{rest}").Replace(args[len(args)-1])
	}
	switch {
	case to == "{rest}":
		return "write strip_prefix = true" + where
	case strings.HasPrefix(to, "/") && !strings.ContainsAny(strings.ReplaceAll(to, "{rest}", ""), "${}*^?#"):
		return "write rewrite = " + Quote(to) + where
	}
	return `write rewrite = "/v1{rest}"` + where
}

// answerAdvice returns the advice for a redirect or a fixed response.
func answerAdvice(args []string) string {
	status, body := 0, ""
	for _, arg := range args {
		if n, err := strconv.Atoi(arg); err == nil && n >= 200 && n < 600 {
			status = n
		} else if strings.HasPrefix(arg, "/") || strings.Contains(arg, "://") {
			to := strings.NewReplacer("$request_uri", "{rest}", "{uri}", "{rest}", "{$uri}", "{rest}", "$uri", "{rest}").Replace(arg)
			if strings.ContainsAny(strings.ReplaceAll(to, "{rest}", ""), "${}*^()") {
				to = "https://example.com{rest}"
			}
			return "write redirect = " + Quote(to)
		} else {
			body = strings.TrimSpace(body + " " + arg)
		}
	}
	if body == "" && status != 0 {
		return fmt.Sprintf("write respond = %d", status)
	}
	return fmt.Sprintf("write respond = { status = %d, body = %s }", cmp.Or(status, 200), Quote(body))
}

// suggest returns the advice for the unknown word name in a body of kind k.
func (r *reader) suggest(name string, k kind) string {
	known := slices.Concat(k.words(), k.blocks)
	if other := otherWords()[name]; slices.Contains(known, other) {
		return fmt.Sprintf("did you mean %q?", other)
	}
	if slices.Contains(r.language[""].attrs, name) {
		return "put it at the top level of the file"
	}
	if found := owners(r.language, name); len(found) > 0 {
		return "it is an attribute of " + alternatives(found)
	}
	return didYouMean(name, known, "known here: "+strings.Join(slices.Concat(k.attrs, k.blocks), ", "))
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
