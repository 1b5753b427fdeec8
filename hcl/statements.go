package hcl

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// finding is what to report about a statement of another tool. An empty summary
// means nothing to report.
type finding struct {
	summary, detail string
}

var (
	assigned = regexp.MustCompile(`^([A-Za-z_][\w-]*)[ \t]*([=:])[ \t]*(\S.*)$`)
	quotes   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	// pastedAddress matches addresses without quotes that the parser splits.
	pastedAddress = regexp.MustCompile(`^(?:\[[0-9A-Fa-f:]+\]:[0-9]+/?|[\w.-]*:[0-9]+/|[0-9]+/)$`)
	// shellDefault matches ${PORT:-3000}, which is not valid in any string of a
	// Proxyfile.
	shellDefault = regexp.MustCompile(`\$\{[A-Za-z_.][\w.]*:?-[^}]*\}`)
)

// reportValue reports, and overwrites, an attribute's value that reads the
// environment, or is an address, in a form that does not parse. The attribute is
// statement, which begins at work[from].
func (r *repairer) reportValue(from int, statement string) bool {
	m := assigned.FindStringSubmatchIndex(statement)
	if m == nil {
		return false
	}
	value, valueAt := statement[m[6]:m[7]], from+m[6]
	if form := upstreamForm(value); form != "" && pastedAddress.MatchString(value) {
		return r.replace(valueAt, from+m[7], filler, "an address must be a string, or a port a number", "write "+form)
	}
	bare := quotes.ReplaceAllStringFunc(value, func(s string) string { return strings.Repeat(" ", len(s)) })
	if shellDefault.MatchString(value) {
		bare = value
	}
	at := otherVariable.FindStringIndex(bare)
	if at == nil || !strings.ContainsAny(bare[at[0]:at[1]], "$%{.?|") {
		return false
	}
	const ends = " \t,[](){}"
	start, end := strings.LastIndexAny(value[:at[0]], ends)+1, len(value)
	if i := strings.IndexAny(value[at[1]:], ends); i >= 0 {
		end = at[1] + i
	}
	expr := envExpression(strings.Trim(value[start:end], `"'`))
	if expr == "" {
		return false
	}
	detail := "write " + expr
	if statement[m[4]] == ':' {
		detail = "write " + statement[m[2]:m[3]] + " = " + expr
		r.work[from+m[4]] = '='
	}
	return r.replace(valueAt+start, valueAt+end, filler, environmentSummary, detail)
}

// foreignStatement is a statement that may be another tool's.
type foreignStatement struct {
	first, whole string // its first line, and all of it
	inside       string // the block around it
}

var (
	pathKey       = regexp.MustCompile(`^(?:"(/[^"]*)"|(/[^\s"=:{]*))[ \t]*(?:=>?|:|->|→)?[ \t]*(.*)$`)
	hostKey       = regexp.MustCompile(`^"?((?:https?://)?(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?::[0-9]+)?)"?[ \t]*(?:=>?|:|->|→)?[ \t]+([^=\s].*)$`)
	headValue     = regexp.MustCompile(`^(host|route|service|server|site|path|location)[ \t]+(?:"([^"]+)"|([^\s"{=:]+))[ \t]*(?:=>?|:|->|→|[ \t])[ \t]*(?:(?:to|upstream|proxy)[ \t]+)?([^\s{=].*)$`)
	headColon     = regexp.MustCompile(`^(host|route|service)[ \t]*[:=][ \t]*"?([^"{}\s]+)"?[ \t]*(\{.*)?$`)
	namePort      = regexp.MustCompile(`^([A-Za-z0-9.-]+\.localhost):([0-9]+)$`)
	matcher       = regexp.MustCompile(`^@[\w-]+[ \t]+(?:path[ \t]+)?(/\S*)?`)
	snippet       = regexp.MustCompile(`^(?:\([\w.-]+\))?[ \t]*\{$`)
	headNames     = regexp.MustCompile(`^host[ \t]+("?[^\s",{]+"?(?:[ \t]*,[ \t]*"?[^\s",{]+"?)+)[ \t]*\{$`)
	headCall      = regexp.MustCompile(`^(host|route|service)[ \t]*\([ \t]*["']?([^"'()]+)["']?[ \t]*\)[ \t]*\{$`)
	otherSign     = regexp.MustCompile(`^([A-Za-z_]\w*)[ \t]*(?:=>|:=|->|→|==)[ \t]*(\S.*)$`)
	setting       = regexp.MustCompile(`^(\w+)[ \t]*=[ \t]*(\S.*)$`)
	directiveForm = regexp.MustCompile(`^([A-Za-z_]+)(?:[ \t]+([^\s=].*?))?[ \t]*;?$`)
	nginxOnly     = regexp.MustCompile(`^([a-z_]+)(?:[ \t]+[^\s={}";]+)+[ \t]*;$`)
	otherBlock    = regexp.MustCompile(`^([a-z_]+)(?:[ \t]+((?:=[ \t]+/)?[^={]*?))?[ \t]*\{(?:[ \t]|$)`)
	returned      = regexp.MustCompile(`(?:^|[{;\s])return[ \t]+([^;{}]+);`)
	forwarded     = regexp.MustCompile(`(?m)(?:^|\{)[ \t]*to[ \t]+([^\n}]+)`)
)

// finding recognizes the statement.
func (st foreignStatement) finding() finding {
	word := directiveForm.FindStringSubmatch(st.first)
	switch {
	case word != nil && slices.Contains(includes(), word[1]):
		return finding{includeSummary, includeDetail}
	case slices.Contains([]string{"locals", "listen", "share"}, st.inside):
		return finding{}
	}
	for _, recognize := range []func() finding{st.path, st.header, st.matcher, st.assignment, st.site} {
		if found := recognize(); found.summary != "" {
			return found
		}
	}
	if m := otherBlock.FindStringSubmatch(st.first); m != nil {
		return st.block(m[1], strings.TrimSpace(m[2]))
	}
	if word != nil {
		if found := st.directive(strings.Replace(word[1], "ProxyPass", "proxy_pass", 1), strings.Fields(word[2])); found.summary != "" {
			return found
		}
	}
	if m := nginxOnly.FindStringSubmatch(st.first); m != nil && !isAttribute(m[1]) {
		detail := "remove it: a Proxyfile has no equivalent"
		if form := attributeExamples()[otherWords()[m[1]]]; form != "" {
			detail = "write " + form
		}
		return finding{fmt.Sprintf("%q is a directive of nginx", m[1]), detail}
	}
	return finding{}
}

// path recognizes `"/api" = 3000`.
func (st foreignStatement) path() finding {
	m := pathKey.FindStringSubmatch(st.first)
	if m == nil || strings.HasPrefix(st.first, "//") || strings.HasPrefix(st.first, "/*") {
		return finding{}
	}
	return finding{"a path goes in a route block", routeAdvice(m[1]+m[2], m[3], st.inside)}
}

// header recognizes a block whose type and label are in another form.
func (st foreignStatement) header() finding {
	if m := headNames.FindStringSubmatch(st.first); m != nil {
		names := strings.Split(strings.NewReplacer(`"`, "", " ", "", "\t", "").Replace(m[1]), ",")
		return finding{"a host block can have only one name", fmt.Sprintf("write host %q {; for the other names, write aliases = [%s]", names[0], quoteList(names[1:]))}
	}
	if m := headCall.FindStringSubmatch(st.first); m != nil {
		return finding{"a block header has no parentheses", fmt.Sprintf("write %s %q {", m[1], m[2])}
	}
	if m := headValue.FindStringSubmatch(st.first); m != nil && !strings.HasSuffix(st.first, "{") && !strings.HasSuffix(st.first, "}") {
		kind := cmp.Or(otherWords()[m[1]], m[1])
		label, form := labelOf(kind, m[2]+m[3]), contents(m[4])
		if form != "" && (kind != "route" || strings.HasPrefix(label, "/")) {
			return finding{fmt.Sprintf("the content of a %s goes in braces", kind), fmt.Sprintf("write %s %s { %s }", kind, Quote(label), form)}
		}
	}
	if m := headColon.FindStringSubmatch(st.first); m != nil && (strings.Contains(st.first, ":") || m[3] != "") {
		return finding{fmt.Sprintf("%q is a block, not an attribute", m[1]), fmt.Sprintf("write %s %s {", m[1], Quote(labelOf(m[1], m[2])))}
	}
	return finding{}
}

// labelOf returns the label of a block of that kind. That of a host is a valid
// name if possible.
func labelOf(kind, label string) string {
	if kind == "host" {
		return cmp.Or(convertName(label), label)
	}
	return label
}

// matcher recognizes matchers, snippets and global options of a Caddyfile.
func (st foreignStatement) matcher() finding {
	if m := matcher.FindStringSubmatch(st.first); m != nil {
		return finding{"a Proxyfile has routes instead of matchers", routeAdvice(cmp.Or(m[1], "/api"), "", st.inside)}
	}
	if snippet.MatchString(st.first) && st.inside == "" && (st.first[0] == '(' || slices.ContainsFunc(strings.Split(st.whole, "\n"), caddyOption.MatchString)) {
		return finding{"a Proxyfile has no global options or snippets", "remove it; each host has its own attributes"}
	}
	return finding{}
}

// assignment recognizes `upstream => 3000`.
func (st foreignStatement) assignment() finding {
	m := otherSign.FindStringSubmatch(st.first)
	if m == nil || !isAttribute(m[1]) {
		return finding{}
	}
	return finding{`an attribute needs "="`, "write " + m[1] + " = " + strings.TrimRight(m[2], ";,")}
}

// site recognizes a name with its target: `shop.localhost = 3000`.
func (st foreignStatement) site() finding {
	const summary = "a name goes in a host block"
	if st.inside != "" {
		return finding{}
	}
	if m := namePort.FindStringSubmatch(st.first); m != nil && convertName(m[1]) != "" {
		return finding{summary, hostAdvice(convertName(m[1]), m[2])}
	}
	m := hostKey.FindStringSubmatch(st.first)
	if m == nil || convertName(m[1]) == "" || reference.MatchString(m[1]) || strings.HasPrefix(m[1], "var.") || !strings.HasPrefix(m[2], "{") && contents(m[2]) == "" {
		return finding{}
	}
	if c := convertCaddy(st.whole); strings.HasSuffix(st.first, "{") && c.finish("") && len(c.hosts) == 1 {
		return finding{summary, withLines("write", c.lines())}
	}
	return finding{summary, hostAdvice(convertName(m[1]), m[2])}
}

// block recognizes a block of nginx or of a Caddyfile.
func (st foreignStatement) block(name, args string) finding {
	switch name {
	case "location", "handle", "handle_path":
		return st.converted(name, args)
	case "route":
		if strings.HasPrefix(args, `"`) || !strings.Contains(st.whole, "reverse_proxy") && nginxModifier.FindString(args) == "" {
			return finding{}
		}
		return st.converted(name, args)
	case "routes", "paths", "locations", "hosts", "sites", "domains":
		return st.plural(name, args)
	}
	switch {
	case ownAttribute().MatchString(st.whole) || strings.HasPrefix(args, `"`):
		return finding{} // its parts are reported
	case name == "upstream" && st.inside == "":
		if !identifier.MatchString(args) {
			return finding{}
		}
		form := cmp.Or(nginxUpstreams(directives(st.whole, true))[args], "3000")
		return finding{`"upstream" is a block of nginx`, "write service " + Quote(args) + " { upstream = " + form + " }"}
	case slices.Contains([]string{"server", "http", "stream", "upstream", "site"}, name):
		return st.converted(name, args)
	case name == "reverse_proxy":
		words := strings.Fields(args)
		if m := forwarded.FindStringSubmatch(st.whole); m != nil {
			words = append(words, strings.Fields(m[1])...)
		}
		return st.directive(name, words)
	case name == "events":
		return finding{`"events" is a block of nginx`, builtIn}
	case isBuiltIn(name) && st.inside != "":
		return finding{fmt.Sprintf("%q is a directive of Caddy or nginx", name), builtIn}
	}
	return finding{}
}

// converted returns the finding for a block of another tool with its conversion.
func (st foreignStatement) converted(name, args string) finding {
	summary, convert := fmt.Sprintf("%q is a directive of Caddy", name), convertCaddy
	switch name {
	case "route":
		summary = "a path must be a string without a modifier"
	case "location", "server", "http", "stream", "upstream":
		summary, convert = fmt.Sprintf("%q is a block of nginx", name), convertNginx
	}
	c := convert(st.whole)
	path := args
	if i := strings.IndexAny(args, `"'`); i > 0 {
		path = args[i:]
	}
	path = pathPrefix(strings.Trim(path, `"'`))
	title := "shop" + suffix
	if len(c.hosts) > 0 {
		title = cmp.Or(c.hosts[0].name, title)
	}
	isPath := name == "location" || name == "route" || strings.HasPrefix(name, "handle")
	isSite := name == "server" || name == "site" || name == "http"
	if !c.finish("shop" + suffix) {
		m := returned.FindStringSubmatch(st.whole)
		switch {
		case name == "location" && path == "":
			return finding{summary, "write one route for each path: a route has a prefix, not a pattern"}
		case name == "location" && m != nil:
			return finding{summary, routeAdvice(path, strings.TrimPrefix(answerAdvice(strings.Fields(m[1])), "write "), st.inside)}
		case path != "" && isPath:
			return finding{summary, routeAdvice(path, "", st.inside)}
		case isSite:
			return finding{summary, hostAdvice(title, "upstream = 3000")}
		}
		return finding{summary, upstreamAdvice("3000", st.inside)}
	}
	h := c.hosts[0]
	switch {
	case st.inside == "" && (name == "server" || name == "http") || len(c.hosts) > 1:
		return finding{summary, withLines("write", c.lines())}
	case len(h.routes) == 0:
		return finding{summary, upstreamAdvice(h.upstream, st.inside)}
	case h.routes[0].strip:
		return finding{summary, withLines("write in a host", h.routes[0].lines())}
	}
	return finding{summary, routeAdvice(h.routes[0].path, "upstream = "+h.routes[0].upstream, st.inside)}
}

// plural recognizes a block of several: routes { "/api" = 3000 }.
func (st foreignStatement) plural(name, args string) finding {
	if args != "" || ownAttribute().MatchString(st.whole) {
		return finding{}
	}
	summary := fmt.Sprintf("%q is not a block: write one block for each", name)
	_, rest, _ := strings.Cut(st.whole, "{")
	for line := range strings.Lines(strings.TrimSuffix(strings.TrimSpace(rest), "}")) {
		line = strings.TrimSpace(line)
		if m := pathKey.FindStringSubmatch(line); m != nil {
			return finding{summary, routeAdvice(m[1]+m[2], m[3], st.inside)}
		}
		if m := hostKey.FindStringSubmatch(line); m != nil && convertName(m[1]) != "" {
			return finding{summary, hostAdvice(convertName(m[1]), m[2])}
		}
	}
	return finding{}
}

// isBuiltIn reports a directive of another tool for a feature that devproxy has
// without configuration.
func isBuiltIn(name string) bool {
	return otherWords()[name] == "" && (strings.HasPrefix(name, "ssl") || strings.HasPrefix(name, "proxy_") ||
		slices.Contains([]string{"tls", "log", "access_log", "error_log", "worker_processes", "charset", "server_tokens", "auto_https", "email", "http2"}, name))
}

// directive recognizes a line of nginx or of a Caddyfile.
func (st foreignStatement) directive(name string, args []string) finding {
	for i, arg := range args {
		args[i] = strings.Trim(arg, `"';`)
	}
	last := ""
	if len(args) > 0 {
		last = args[len(args)-1]
	}
	detail := ""
	switch name {
	case "server", "proxy_pass", "reverse_proxy", "proxy", "forward", "backend", "target", "port", "url", "to", "dest":
		if name == "server" && len(args) < 2 {
			break
		}
		form, remark := upstreamsForm(args)
		detail = upstreamAdvice(form, st.inside) + remark
		if len(args) > 1 && pathPrefix(args[0]) != "" && pathPrefix(args[0]) != "/" && st.inside != "route" {
			detail = routeAdvice(args[0], "upstream = "+form, st.inside)
		}
	case "root", "static", "alias":
		detail = "write files = " + Quote(cmp.Or(last, "public"))
	case "file_server":
		detail = `remove it; to serve a folder, write files = "public"`
	case "server_name":
		detail = "write aliases = [" + Quote(cmp.Or(convertName(last), "shop.localhost")) + `]; the first name goes in host "NAME"`
	case "listen", "bind":
		detail = "remove it; to choose the port, write listen { https = 8443 } at the top level"
	case "rewrite":
		detail = rewriteAdvice(args, st.inside)
	case "redir", "return", "respond":
		detail = answerAdvice(args)
	case "encode", "gzip":
		detail = "write compress = true"
	case "header", "add_header":
		if len(args) > 1 && isToken(args[0]) {
			detail = "write response_headers = { " + args[0] + " = " + Quote(strings.Join(args[1:], " ")) + " }"
		}
	case "try_files":
		detail = `write try_files = "public" next to upstream; or files = "public", with spa = true to answer unknown paths with index.html`
	case "index":
		detail = "remove it; files serves index.html, and spa = true answers unknown paths with it"
	default:
		if isBuiltIn(name) {
			detail = builtIn
		}
	}
	if detail == "" {
		return finding{}
	}
	return finding{fmt.Sprintf("%q is a directive of Caddy or nginx", name), detail}
}
