package hcl

import (
	"fmt"
	"net/textproto"
	"path"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// decodeRoute decodes a route of host, whose own attributes are decoded. It is nil
// without a path, and not good when its own answer is a mistake: then it does
// not take the host's instead.
func (d *decoder) decodeRoute(b *block, host *Host, hostAnswers bool) (route *Route, good bool) {
	defer d.enter(b)()
	route = &Route{Range: b.header, PathRange: b.labelRange}
	if exact := d.boolean(b.body, "exact"); exact != nil {
		route.Exact = *exact
	}
	d.exact = route.Exact
	defer func() { d.exact = false }()
	valid := false
	if b.label != "" {
		route.Path, valid = d.routePath(b.label, b.labelRange)
	}
	if v, present := d.get(b.body, "match"); present {
		route.Match = d.decodeMatch(v)
	}
	answered := d.decodeSettings(b, &route.Settings)
	if strip := d.boolean(b.body, "strip_prefix"); strip != nil {
		route.StripPrefix = *strip
	}
	if v, present := d.get(b.body, "rewrite"); present {
		route.Rewrite = d.decodeRewrite(v, b.body.attrs["rewrite"], route.StripPrefix)
		route.RewriteFlow = d.flow(v)
	}
	d.findIdleRewrite(b, route)
	if route.TryFiles != nil && !answered && hostAnswers && host.Upstream == nil {
		d.errorf(b.body.attrs["try_files"].nameRange(), "add upstream next to it", "try_files goes with upstream")
	}
	if !answered && !hostAnswers && !b.body.damaged {
		d.errorf(b.header, "write upstream = 3000, or files, redirect or respond; or give the host an answer", "%s answers with nothing", b.title())
	}
	if !valid {
		return nil, false
	}
	return route, answered == hasAnswer(&route.Settings)
}

// findIdleRewrite reports rewrite next to an answer that forwards nothing. Package
// plan warns where that answer is the host's.
func (d *decoder) findIdleRewrite(b *block, route *Route) {
	attr, s := b.body.attrs["rewrite"], &route.Settings
	switch {
	case attr == nil || route.Rewrite == "":
	case s.Files != nil:
		d.errorf(attr.nameRange(), "remove it: files looks up what follows the route's path; name another folder, or with exact = true the file", "rewrite goes with upstream, not with files")
	case s.Redirect != nil:
		d.errorf(attr.nameRange(), "remove it: the path goes in redirect", "rewrite goes with upstream, not with redirect")
	case s.Respond != nil:
		d.errorf(attr.nameRange(), "remove it: respond looks at no path", "rewrite goes with upstream, not with respond")
	}
}

var (
	pathEscape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	// pattern matches what is a regular expression, or a location of nginx
	// with its modifier, and can't be the path of a request.
	pattern = regexp.MustCompile(`^(?:~\*?|=|\^~)[ \t]|^~|^\^|^\*|(?:^|[/()|\]])\.\*|\.\*[$()|]|\.\+|\(\?|\[\^|\\[dwsDWS./]|[^/]\$$|\([^()/]*\|[^()/]*\)`)
)

func isPattern(path string) bool { return pattern.MatchString(path) }

// patternPath reports a path that is a regular expression.
func (d *decoder) patternPath(text string, at Range) {
	detail := ""
	switch prefix := pathPrefix(text); {
	case strings.HasPrefix(text, "= "):
		d.errorf(at, quotef("write %s", prefix)+"; for this path alone, exact = true", "a path has no modifier")
		return
	case prefix == "" || prefix == "/" && strings.Contains(text, "|"):
		detail = "write one route for each path"
	default:
		detail = quotef("write %s", prefix) + ": it matches all below"
	}
	d.errorf(at, detail, "a path is a prefix, not a pattern")
}

// routePath is path, and takes a "/" at the end of a route of one path: "/docs/" and
// "/docs" are two.
func (d *decoder) routePath(text string, at Range) (clean string, ok bool) {
	before, slash := strings.CutSuffix(text, "/")
	if !slash || !d.exact || before == "" || strings.HasSuffix(before, "/") {
		return d.path(text, at)
	}
	before, ok = d.path(before, at)
	return before + "/", ok
}

// path checks the path of a route, which is written decoded: as people read
// it, "/café" and not "/caf%C3%A9".
func (d *decoder) path(text string, at Range) (clean string, ok bool) {
	write := func(path string) string { return quotef("write %s", path) }
	fixed := path.Clean("/" + text)
	switch i := strings.IndexAny(text, "?#"); {
	case strings.Contains(text, "://"):
		d.errorf(at, `write "/PATH"; the host's name stands in host "NAME"`, "a route has a path, not a URL")
	case isPattern(text):
		d.patternPath(text, at)
	case !strings.HasPrefix(text, "/"):
		d.errorf(at, write("/"+text), `a path begins with "/"`)
	case i >= 0 && text[i] == '?':
		d.errorf(at, write(text[:i])+" and match = { query = { … } }", "a path has no query")
	case i >= 0:
		d.errorf(at, write(text[:i]), "a path has no fragment: browsers do not send it")
	case strings.Contains(text, "**"):
		d.twoStars(text, at)
	case pathEscape.MatchString(text):
		d.errorf(at, "write the character itself: "+unescaped(text), "a path is written without %% escapes")
	case strings.Contains(text, `\`):
		d.errorf(at, write(strings.ReplaceAll(text, `\`, "/")), `a path has no "\"`)
	case strings.ContainsFunc(text, isControl):
		d.errorf(at, "remove it", "a path has no control characters")
	case fixed != "/" && path.Clean(text) == strings.TrimSuffix(text, "/") && strings.HasSuffix(text, "/"):
		d.errorf(at, write(fixed)+`: it matches "`+fixed+`/" too; for "`+fixed+`/" alone, add exact = true`, `a path does not end with "/"`)
	case path.Clean(text) != text:
		d.errorf(at, write(fixed), `a path has no empty, "." or ".." part`)
	default:
		return text, true
	}
	return "", false
}

// twoStars reports a path with "**", which other tools have for any number of
// segments.
func (d *decoder) twoStars(text string, at Range) {
	detail := quotef("write %s", pathPrefix(text)) + ": it matches all below"
	if plain := strings.TrimRight(text, "*/"); strings.Contains(plain, "*") {
		detail = `write one "*" for each segment`
	}
	d.errorf(at, detail, `a "*" in a path matches within one segment`)
}

func unescaped(text string) string {
	return fmt.Sprintf("%q", pathEscape.ReplaceAllStringFunc(text, func(hex string) string {
		var b byte
		_, _ = fmt.Sscanf(hex, "%%%02x", &b)
		return string([]byte{b})
	}))
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7F && r < 0xA0 }

func (d *decoder) decodeMatch(v value) *Match {
	if !v.IsKnown() {
		return nil
	}
	if !v.isObject() {
		d.errorf(v.at(), `write match = { methods = ["GET"] }`, "match is an object of methods, headers and query")
		return nil
	}
	match := &Match{Range: v.at(), Flow: d.flow(v)}
	for _, f := range d.object(v, "match", []string{"methods", "headers", "query"}) {
		switch f.name {
		case "methods":
			match.Methods = d.decodeMethods(f.value)
		case "headers":
			match.Headers = d.conditions(f.value, "headers", d.fieldName)
		case "query":
			match.Query = d.conditions(f.value, "query", func(f field) (string, bool) { return f.name, true })
		}
	}
	if match.Methods == nil && match.Headers == nil && match.Query == nil && match.Flow.Empty() {
		return nil
	}
	return match
}

func (d *decoder) decodeMethods(v value) []string {
	if !v.IsWhollyKnown() {
		return nil
	}
	if !v.isList() {
		d.errorf(v.at(), "write ["+v.written()+"]", "methods is a list")
		return nil
	}
	var methods []string
	for _, element := range d.elements(v) {
		method, ok := d.str(element, "a method")
		if !ok {
			continue
		}
		if !isToken(method) {
			d.errorf(element.at(), `write one like "GET"`, "%q is no method", method)
			continue
		}
		methods = append(methods, strings.ToUpper(method))
	}
	return methods
}

// conditions are the entries of match = { headers, query }: a value compares
// whole, "*" in it matches anything.
func (d *decoder) conditions(v value, what string, name func(field) (string, bool)) map[string]string {
	if !v.IsKnown() {
		return nil
	}
	if !v.isObject() {
		d.errorf(v.at(), "write "+what+` = { NAME = "VALUE" }`, "%s is an object", what)
		return nil
	}
	var all map[string]string
	for _, f := range d.fields(v) {
		key, ok := name(f)
		if !ok {
			continue
		}
		text, ok := d.scalar(f.value, "a value of "+what)
		if !ok {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[key] = text
	}
	return all
}

// decodeRewrite decodes the path to forward.
func (d *decoder) decodeRewrite(v value, attr *attribute, strip bool) string {
	target, ok := d.str(v, "rewrite")
	if !ok {
		return ""
	}
	if strip {
		d.errorf(attr.nameRange(), "write one of them", "rewrite and strip_prefix exclude each other")
	}
	switch {
	case target == "{rest}":
		d.errorf(v.at(), "write strip_prefix = true", "the rest alone may be no path")
	case !strings.HasPrefix(target, "/"):
		d.errorf(v.at(), quotef("write %s", "/"+target), `a path begins with "/"`)
	case strings.HasPrefix(target, "//"):
		d.errorf(v.at(), quotef("write %s", "/"+strings.TrimLeft(target, "/")), `a path has no empty part`)
	case strings.ContainsAny(target, "?#"):
		d.errorf(v.at(), quotef("write %s: the query is kept", target[:strings.IndexAny(target, "?#")]), "rewrite is a path, without query or fragment")
	case d.placeholders(v, target):
		return target
	}
	return ""
}

// otherRest matches what other tools write for {rest}.
var otherRest = regexp.MustCompile(`(?:^|/)\$[0-9]\b|\$(?:uri|request_uri|is_args|args)\b`)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// placeholders checks that target, a path to forward, has no placeholder but
// {rest}, and no control characters.
func (d *decoder) placeholders(v value, target string) bool {
	if !d.checkURL(v, target, false) {
		return false
	}
	for _, found := range placeholder.FindAllString(target, -1) {
		if found != "{rest}" {
			d.errorf(v.at(), "write {rest}: what follows the route's path", "unknown placeholder %s", found)
			return false
		}
	}
	return true
}

// checkURL reports what neither a path nor a URL has, and variables of other
// programs. A redirect has more placeholders than {rest}.
func (d *decoder) checkURL(v value, target string, redirect bool) bool {
	if strings.ContainsFunc(target, isControl) || strings.Contains(target, " ") {
		d.errorf(v.at(), "write %20 for a space", "a path has no spaces and control characters")
		return false
	}
	if found := strings.TrimPrefix(otherRest.FindString(target), "/"); found != "" {
		detail := "write {rest}: what follows the route's path"
		switch name := otherPlaceholders()[found[1:]]; {
		case redirect && name == "query":
			detail = "remove it: the query is kept"
		case redirect && name != "":
			detail = "use {" + name + "}"
		}
		d.errorf(v.at(), detail, "unknown placeholder %s", found)
		return false
	}
	return true
}

// fieldName is the canonical name of a header field (RFC 9110 section 5.1).
func (d *decoder) fieldName(f field) (string, bool) {
	if !isToken(f.name) {
		detail := `write one like "X-Debug"`
		if fixed := strings.ReplaceAll(strings.TrimRight(f.name, ": "), " ", "-"); isToken(fixed) {
			detail = quotef("write %s", fixed)
		}
		d.errorf(f.nameAt, detail, "%q is no name of a header field", f.name)
		return "", false
	}
	return textproto.CanonicalMIMEHeaderKey(f.name), true
}

// isToken reports whether text is a token (RFC 9110 section 5.6.2).
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7F || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// identityOf is v as a text that is equal for equal values; empty for one that
// says nothing.
func identityOf(v cty.Value) string {
	if !v.IsKnown() || v.IsNull() || v.RawEquals(cty.False) {
		return ""
	}
	return fmt.Sprintf("%#v", v)
}
