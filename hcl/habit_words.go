package hcl

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// habit is the diagnostic of a statement that is written as another tool has it.
// start and end are the place of a value in the statement.
type habit struct {
	summary, detail string
	start, end      int
	// colon is where a ":" is for "=" in the statement; 0 for nowhere.
	colon int
}

var (
	assigned = regexp.MustCompile(`^([A-Za-z_][\w-]*)[ \t]*([=:])[ \t]*(\S.*)$`)
	quotes   = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	// pastedAddress matches addresses without quotes that the parser cuts up.
	pastedAddress = regexp.MustCompile(`^(?:\[[0-9A-Fa-f:]+\]:[0-9]+/?|[\w.-]*:[0-9]+/|[0-9]+/)$`)
	// shellDefault matches ${PORT:-3000}, which no string of a Proxyfile has.
	shellDefault = regexp.MustCompile(`\$\{[A-Za-z_.][\w.]*:?-[^}]*\}`)
)

// valueHabit recognizes an attribute whose value reads the environment, or names an
// address, in a way that does not parse.
func valueHabit(statement string) (habit, bool) {
	m := assigned.FindStringSubmatchIndex(statement)
	if m == nil {
		return habit{}, false
	}
	value := statement[m[6]:m[7]]
	if pastedAddress.MatchString(value) {
		return habit{"an address is a string, a port a number", "write " + upstreamForm(value), m[6], m[7], 0}, upstreamForm(value) != ""
	}
	bare := quotes.ReplaceAllStringFunc(value, func(s string) string { return strings.Repeat(" ", len(s)) })
	if shellDefault.MatchString(value) {
		bare = value
	}
	at := otherVariable.FindStringIndex(bare)
	if at == nil || !strings.ContainsAny(bare[at[0]:at[1]], "$%{.?|") {
		return habit{}, false
	}
	start, end := at[0], at[1]
	const ends = " \t,[](){}"
	for start > 0 && strings.IndexByte(ends, value[start-1]) < 0 {
		start--
	}
	for end < len(value) && strings.IndexByte(ends, value[end]) < 0 {
		end++
	}
	expr := envExpression(strings.Trim(value[start:end], `"'`))
	if expr == "" {
		return habit{}, false
	}
	h := habit{summary: environmentSummary, detail: "write " + expr, start: m[6] + start, end: m[6] + end}
	if statement[m[4]] == ':' {
		h.colon = m[4]
		h.detail = "write " + statement[m[2]:m[3]] + " = " + expr
	}
	return h, true
}

var (
	pathKey    = regexp.MustCompile(`^(?:"(/[^"]*)"|(/[^\s"=:{]*))[ \t]*(?:=>?|:|->|→)?[ \t]*(.*)$`)
	hostKey    = regexp.MustCompile(`^"?((?:https?://)?(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?::[0-9]+)?)"?[ \t]*(?:=>?|:|->|→)?[ \t]+([^=\s].*)$`)
	headValue  = regexp.MustCompile(`^(host|route|service|server|site|path|location)[ \t]+(?:"([^"]+)"|([^\s"{=:]+))[ \t]*(?:=>?|:|->|→|[ \t])[ \t]*(?:(?:to|upstream|proxy)[ \t]+)?([^\s{=].*)$`)
	headColon  = regexp.MustCompile(`^(host|route|service)[ \t]*[:=][ \t]*"?([^"{}\s]+)"?[ \t]*(\{.*)?$`)
	namePort   = regexp.MustCompile(`^([A-Za-z0-9.-]+\.localhost):([0-9]+)$`)
	matcher    = regexp.MustCompile(`^@[\w-]+[ \t]+(?:path[ \t]+)?(/\S*)?`)
	snippet    = regexp.MustCompile(`^(?:\([\w.-]+\))?[ \t]*\{$`)
	headNames  = regexp.MustCompile(`^host[ \t]+("?[^\s",{]+"?(?:[ \t]*,[ \t]*"?[^\s",{]+"?)+)[ \t]*\{$`)
	headCall   = regexp.MustCompile(`^(host|route|service)[ \t]*\([ \t]*["']?([^"'()]+)["']?[ \t]*\)[ \t]*\{$`)
	otherSign  = regexp.MustCompile(`^([A-Za-z_]\w*)[ \t]*(?:=>|:=|->|→|==)[ \t]*(\S.*)$`)
	setting    = regexp.MustCompile(`^(\w+)[ \t]*=[ \t]*(\S.*)$`)
	directive  = regexp.MustCompile(`^([A-Za-z_]+)(?:[ \t]+([^\s=].*?))?[ \t]*;?$`)
	ofNginx    = regexp.MustCompile(`^([a-z_]+)(?:[ \t]+[^\s={}";]+)+[ \t]*;$`)
	otherBlock = regexp.MustCompile(`^([a-z_]+)(?:[ \t]+((?:=[ \t]+/)?[^={]*?))?[ \t]*\{(?:[ \t]|$)`)
	returned   = regexp.MustCompile(`(?:^|[{;\s])return[ \t]+([^;{}]+);`)
	forwarded  = regexp.MustCompile(`(?m)(?:^|\{)[ \t]*to[ \t]+([^\n}]+)`)
)

// statementHabit recognizes a statement of another tool. first is its first line,
// whole is all of it, and inside is the block around it.
func statementHabit(first, whole, inside string) (habit, bool) {
	if m := directive.FindStringSubmatch(first); m != nil && slices.Contains(includes(), m[1]) {
		return habit{summary: includeSummary, detail: includeDetail}, true
	}
	if slices.Contains([]string{"locals", "listen", "share"}, inside) {
		return habit{}, false
	}
	if m := pathKey.FindStringSubmatch(first); m != nil && !strings.HasPrefix(first, "//") && !strings.HasPrefix(first, "/*") {
		return habit{summary: "a path goes in a route block", detail: routeAdvice(m[1]+m[2], m[3], inside)}, true
	}
	if m := headNames.FindStringSubmatch(first); m != nil {
		names := strings.Split(strings.NewReplacer(`"`, "", " ", "", "\t", "").Replace(m[1]), ",")
		return habit{summary: "one name is enough for a host",
			detail: fmt.Sprintf("write host %q {; further names are its aliases: aliases = [%s]", names[0], quoteList(names[1:]))}, true
	}
	if m := headCall.FindStringSubmatch(first); m != nil {
		return habit{summary: "a block has no parentheses", detail: fmt.Sprintf("write %s %q {", m[1], m[2])}, true
	}
	if m := headValue.FindStringSubmatch(first); m != nil && !strings.HasSuffix(first, "{") && !strings.HasSuffix(first, "}") {
		kind, label := cmp.Or(otherWords()[m[1]], m[1]), m[2]+m[3]
		if name := convertName(label); kind == "host" && name != "" {
			label = name
		}
		if form := contents(m[4]); form != "" && (kind != "route" || strings.HasPrefix(label, "/")) {
			return habit{summary: fmt.Sprintf("what a %s does goes in braces", kind), detail: fmt.Sprintf("write %s %s { %s }", kind, Quote(label), form)}, true
		}
	}
	if m := headColon.FindStringSubmatch(first); m != nil && (strings.Contains(first, ":") || m[3] != "") {
		label := m[2]
		if name := convertName(label); m[1] == "host" && name != "" {
			label = name
		}
		return habit{summary: fmt.Sprintf("%q is a block", m[1]), detail: fmt.Sprintf("write %s %s {", m[1], Quote(label))}, true
	}
	if m := namePort.FindStringSubmatch(first); m != nil && inside == "" && convertName(m[1]) != "" {
		return habit{summary: "a name goes in a host block", detail: hostAdvice(convertName(m[1]), m[2])}, true
	}
	if m := matcher.FindStringSubmatch(first); m != nil {
		return habit{summary: "a Proxyfile has routes instead of matchers", detail: routeAdvice(cmp.Or(m[1], "/api"), "", inside)}, true
	}
	if snippet.MatchString(first) && inside == "" && (first[0] == '(' || slices.ContainsFunc(strings.Split(whole, "\n"), caddyOption.MatchString)) {
		return habit{summary: "a Proxyfile has no global options or snippets", detail: "remove it; each host has its own attributes"}, true
	}
	if m := otherSign.FindStringSubmatch(first); m != nil && isAttribute(m[1]) {
		return habit{summary: `an attribute takes "="`, detail: "write " + m[1] + " = " + strings.TrimRight(m[2], ";,")}, true
	}
	if m := hostKey.FindStringSubmatch(first); m != nil && inside == "" && convertName(m[1]) != "" && !reference.MatchString(m[1]) && !strings.HasPrefix(m[1], "var.") && (strings.HasPrefix(m[2], "{") || contents(m[2]) != "") {
		detail := hostAdvice(convertName(m[1]), m[2])
		if s := sketchCaddy(whole); strings.HasSuffix(first, "{") && s.settle("") && len(s.hosts) == 1 {
			detail = shown(s.lines())
		}
		return habit{summary: "a name goes in a host block", detail: detail}, true
	}
	if m := otherBlock.FindStringSubmatch(first); m != nil {
		return blockHabit(m[1], strings.TrimSpace(m[2]), whole, inside)
	}
	if m := directive.FindStringSubmatch(first); m != nil {
		if h, found := directiveHabit(strings.Replace(m[1], "ProxyPass", "proxy_pass", 1), strings.Fields(m[2]), inside); found {
			return h, true
		}
	}
	if m := ofNginx.FindStringSubmatch(first); m != nil && !isAttribute(m[1]) {
		h := habit{summary: fmt.Sprintf("%q is a directive of nginx", m[1]), detail: "remove it: a Proxyfile has nothing like it"}
		if form := attributeExamples()[otherWords()[m[1]]]; form != "" {
			h.detail = "write " + form
		}
		return h, true
	}
	return habit{}, false
}

// blockHabit recognizes a block of nginx or of a Caddyfile.
func blockHabit(name, args, whole, inside string) (habit, bool) {
	summary, s := "", &sketch{}
	switch name {
	case "location":
		summary, s = `"location" is a block of nginx`, sketchNginx(whole)
	case "handle", "handle_path":
		summary, s = fmt.Sprintf("%q is a directive of Caddy", name), sketchCaddy(whole)
	case "route":
		if strings.HasPrefix(args, `"`) || !strings.Contains(whole, "reverse_proxy") && nginxModifier.FindString(args) == "" {
			return habit{}, false
		}
		summary, s = "a path is a string, without a modifier", sketchCaddy(whole)
	case "routes", "paths", "locations", "hosts", "sites", "domains":
		return pluralHabit(name, args, whole, inside)
	default:
		if ownAttribute.MatchString(whole) || strings.HasPrefix(args, `"`) {
			return habit{}, false // the parts of it are reported
		}
		switch name {
		case "server", "http", "upstream", "stream":
			summary, s = fmt.Sprintf("%q is a block of nginx", name), sketchNginx(whole)
		case "reverse_proxy":
			if m := forwarded.FindStringSubmatch(whole); m != nil {
				return directiveHabit(name, append(strings.Fields(args), strings.Fields(m[1])...), inside)
			}
			return directiveHabit(name, strings.Fields(args), inside)
		case "events":
			return habit{summary: `"events" is a block of nginx`, detail: "remove it: devproxy does this by itself"}, true
		case "site":
			summary, s = fmt.Sprintf("%q is a directive of Caddy", name), sketchCaddy(whole)
		default:
			if isBuiltIn(name) && inside != "" {
				return habit{summary: fmt.Sprintf("%q is a directive of Caddy or nginx", name), detail: "remove it: devproxy does this by itself"}, true
			}
			return habit{}, false
		}
	}
	if name == "upstream" && inside == "" {
		form := cmp.Or(nginxUpstreams(statements(whole, true))[args], "3000")
		return habit{summary: summary, detail: "write service " + Quote(args) + " { upstream = " + form + " }"}, identifier.MatchString(args)
	}
	path, title := pathPrefix(strings.Trim(args, `"'`)), "shop"+suffix
	if i := strings.IndexAny(args, `"'`); i > 0 {
		path = pathPrefix(strings.Trim(args[i:], `"'`))
	}
	if len(s.hosts) > 0 && s.hosts[0].name != "" {
		title = s.hosts[0].name
	}
	if !s.settle("shop" + suffix) {
		m := returned.FindStringSubmatch(whole)
		switch {
		case name == "location" && path == "":
			return habit{summary: summary, detail: "write one route for each path: a route is a prefix, not a pattern"}, true
		case name == "location" && m != nil:
			return habit{summary: summary, detail: routeAdvice(path, strings.TrimPrefix(answerAdvice(strings.Fields(m[1])), "write "), inside)}, true
		case path != "" && (name == "location" || strings.HasPrefix(name, "handle") || name == "route"):
			return habit{summary: summary, detail: routeAdvice(path, "", inside)}, true
		case name == "server" || name == "site" || name == "http":
			return habit{summary: summary, detail: fmt.Sprintf("write host %q { upstream = 3000 }", title)}, true
		}
		return habit{summary: summary, detail: upstreamAdvice("3000", inside)}, true
	}
	h := s.hosts[0]
	switch {
	case inside == "" && (name == "server" || name == "http") || len(s.hosts) > 1:
		return habit{summary: summary, detail: shown(s.lines())}, true
	case len(h.routes) > 0:
		r := h.routes[0]
		if !r.strip {
			return habit{summary: summary, detail: routeAdvice(r.path, "upstream = "+r.upstream, inside)}, true
		}
		return habit{summary: summary, detail: "write in a host:\n" + strings.Join(r.lines(), "\n")}, true
	}
	return habit{summary: summary, detail: upstreamAdvice(h.upstream, inside)}, true
}

// pluralHabit recognizes a block of several: routes { "/api" = 3000 }.
func pluralHabit(name, args, whole, inside string) (habit, bool) {
	if args != "" || ownAttribute.MatchString(whole) {
		return habit{}, false
	}
	h := habit{summary: fmt.Sprintf("%q is not a block: each has its own", name)}
	_, rest, _ := strings.Cut(whole, "{")
	for line := range strings.Lines(strings.TrimSuffix(strings.TrimSpace(rest), "}")) {
		line = strings.TrimSpace(line)
		if m := pathKey.FindStringSubmatch(line); m != nil {
			h.detail = routeAdvice(m[1]+m[2], m[3], inside)
			return h, true
		}
		if m := hostKey.FindStringSubmatch(line); m != nil && convertName(m[1]) != "" {
			h.detail = hostAdvice(convertName(m[1]), m[2])
			return h, true
		}
	}
	return habit{}, false
}

// removed reports a directive of another tool for what devproxy does by itself.
func isBuiltIn(name string) bool {
	if otherWords()[name] != "" {
		return false
	}
	return strings.HasPrefix(name, "ssl") || strings.HasPrefix(name, "proxy_") ||
		slices.Contains([]string{"tls", "log", "access_log", "error_log", "worker_processes", "charset", "server_tokens", "auto_https", "email", "http2"}, name)
}

// directiveHabit recognizes a line of nginx or of a Caddyfile.
func directiveHabit(name string, args []string, inside string) (habit, bool) {
	for i, arg := range args {
		args[i] = strings.Trim(arg, `"';`)
	}
	h := habit{summary: fmt.Sprintf("%q is a directive of Caddy or nginx", name)}
	last := ""
	if len(args) > 0 {
		last = args[len(args)-1]
	}
	if otherWords()[name] == "" && !isBuiltIn(name) && !slices.Contains([]string{"redir", "rewrite", "listen", "bind", "add_header", "header", "gzip", "index", "try_files", "respond"}, name) {
		return habit{}, false
	}
	switch name {
	case "proxy_pass", "reverse_proxy", "proxy", "forward", "backend", "target", "port", "url", "to", "dest", "server":
		if name == "server" && len(args) < 2 {
			return habit{}, false
		}
		form, rest := upstreamsForm(args)
		h.detail = upstreamAdvice(form, inside) + rest
		if len(args) > 1 && pathPrefix(args[0]) != "" && pathPrefix(args[0]) != "/" && inside != "route" {
			h.detail = routeAdvice(args[0], "upstream = "+form, inside)
		}
	case "root", "static", "alias":
		h.detail = "write files = " + Quote(cmp.Or(last, "public"))
	case "file_server":
		h.detail = `remove it; files = "public" serves a folder`
	case "server_name":
		h.detail = `write aliases = ["shop.localhost"]; the first name goes in host "NAME"`
		if len(args) > 0 && convertName(last) != "" {
			h.detail = "write aliases = [" + strconv.Quote(convertName(last)) + `]; the first name goes in host "NAME"`
		}
	case "listen", "bind":
		h.detail = "remove it; a block listen { https = 8443 } at the top level picks the port"
	case "rewrite":
		h.detail = rewriteAdvice(last, args, inside)
	case "redir", "return", "respond":
		h.detail = answerAdvice(args)
	case "encode", "gzip":
		h.detail = "write compress = true"
	case "header", "add_header":
		if len(args) < 2 || !isToken(args[0]) {
			return habit{}, false
		}
		h.detail = "write response_headers = { " + args[0] + " = " + Quote(strings.Join(args[1:], " ")) + " }"
	case "try_files":
		h.detail = `write try_files = "public" next to upstream; or files = "public", where spa = true answers unknown paths with index.html`
	case "index":
		h.detail = "remove it; files has index.html, and spa = true answers unknown paths with it"
	default:
		if !isBuiltIn(name) {
			return habit{}, false
		}
		h.detail = "remove it: devproxy does this by itself"
	}
	return h, true
}
