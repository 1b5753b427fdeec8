package scaffold

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// proxyTable adds the routes of a table by which a dev server forwards: Vite's
// server.proxy, webpack's devServer.proxy as an object or a list, Angular's
// proxy.conf. what names the table in notes.
func (d configReader) proxyTable(to *block, file, what string, table javascript.Value) {
	switch table.Kind {
	case javascript.Object:
		for _, f := range table.Fields {
			d.proxyEntry(to, file, what, []string{f.Name}, f.Value)
		}
	case javascript.Array:
		for _, entry := range table.Items {
			contexts := contextsOf(entry)
			if entry.Kind == javascript.Object && len(contexts) == 0 {
				contexts = []string{"/"}
			}
			d.proxyEntry(to, file, what, contexts, entry)
		}
	case javascript.String:
		d.notes.add(Note{file, table.Line, fmt.Sprintf("%s %q names no paths; the dev server still forwards to it", what, table.Text)})
	case javascript.Undefined:
	default:
		d.notes.add(Note{file, table.Line, what + " is not written out as an object"})
	}
}

// contextsOf returns the paths that an entry of a list applies to.
func contextsOf(entry javascript.Value) []string {
	var contexts []string
	for _, key := range []string{"context", "path", "pathFilter"} {
		v := entry.At(key)
		for _, item := range append([]javascript.Value{v}, v.Items...) {
			if item.Kind == javascript.String {
				contexts = append(contexts, item.Text)
			}
		}
	}
	return contexts
}

// proxyEntry adds a route to a target for each of keys.
func (d configReader) proxyEntry(to *block, file, what string, keys []string, entry javascript.Value) {
	target := entry
	if entry.Kind == javascript.Object {
		target = entry.At("target")
	}
	upstream, prefix, ok := targetOf(target.Text)
	for _, key := range keys {
		entryName := fmt.Sprintf("%s %q", what, key)
		note := func(format string, args ...any) {
			d.notes.add(Note{file, entry.Line, fmt.Sprintf(format, args...)})
		}
		places := prefixes(key)
		bypass, answers := entry.Field("bypass")
		switch {
		case key == "":
			note("a part of %s is not written out: %s", what, short(entry.Source))
		case len(places) == 0:
			note("%s is not a plain prefix", entryName)
		case answers && !target.Known():
			d.notes.add(Note{file, bypass.Line, entryName + " answers with a function"})
		case !target.Known() || !ok || prefix != "" && routePath(prefix) == "":
			note("%s has a target that is not a plain URL: %s", entryName, short(target.Source))
		default:
			for _, place := range places {
				made := route{place: place, block: block{upstream: upstream}}
				d.proxyOptions(&made, file, entryName, prefix, entry)
				if made.path == "/" && !made.exact {
					note("%s would take every request from the dev server", entryName)
				} else if to.addRoute(made) {
					note("a second route %q, to %s", made.path, made.answer())
				}
			}
		}
	}
}

// ignoredOptions are those that devproxy needs no setting for, and those that do
// not change where a request goes.
var ignoredOptions = strings.Fields("target context path pathFilter changeOrigin ws xfwd autoRewrite hostRewrite protocolRewrite cookieDomainRewrite cookiePathRewrite logLevel logger timeout proxyTimeout " +
	"followRedirects preserveHeaderKeyCase enable logs ssl agent")

// proxyOptions adds the options of an entry to its route. prefix is the path of the
// target.
func (d configReader) proxyOptions(made *route, file, what, prefix string, entry javascript.Value) {
	rest, at := made.path, strings.TrimSuffix(made.path, "/")
	if strings.HasPrefix(what, "nitro.") || strings.HasPrefix(what, "routeRules ") { // Nitro always removes the path
		rest = ""
	}
	for _, option := range entry.Fields {
		note := func(text string) { d.notes.add(Note{file, option.Value.Line, text}) }
		switch name := option.Name; {
		case slices.Contains(ignoredOptions, name):
		case name == "secure":
			if option.Value.Is(false) && strings.HasPrefix(made.upstream, "https://") {
				made.set("tls_skip_verify", "true")
			}
		case name == "headers" && option.Value.Kind == javascript.Object:
			for _, h := range option.Value.Fields {
				if h.Value.Known() && plainKey.MatchString(h.Name) && !strings.ContainsAny(h.Value.Text, "{}\r\n") {
					made.setEntry("request_headers", h.Name, quoted(h.Value.Text))
				} else {
					note("a header of " + what + " is not written out: " + short(h.Name))
				}
			}
		case name == "rewrite" || name == "pathRewrite":
			if to, ok := rewritten(option.Value, at); ok {
				rest = to
			} else {
				note("the rewrite of " + what + " is not of the form path.replace(/^\\" + made.path + "/, '')")
			}
		case name == "":
			note("a part of " + what + " is not written out: " + short(option.Value.Source))
		default:
			note(short(name) + " of " + what)
		}
	}
	made.rewrite(at, strings.TrimSuffix(prefix, "/")+strings.TrimSuffix(rest, "/"))
}

// rewrite makes a route forward the path from as to.
func (r *route) rewrite(from, to string) {
	switch to {
	case from:
	case "":
		r.set("strip_prefix", "true")
	default:
		r.set("rewrite", quoted(to+"{rest}"))
	}
}

var replaceCall = regexp.MustCompile("\\.replace\\((?:/\\^?((?:\\\\/[\\w.-]+)+)(?:\\\\/)?/[a-z]*|(?:newRegExp\\()?[\"'`]\\^?((?:/[\\w.-]+)+)/?[\"'`]\\)?),[\"'`]([^\"'`]*)[\"'`]\\)[;}]*$")

// rewritten returns the text that a rewrite puts in place of at: a function
// that replaces it, or webpack's map of patterns. ok is false for any other
// rewrite.
func rewritten(v javascript.Value, at string) (to string, ok bool) {
	from := ""
	if m := replaceCall.FindStringSubmatch(v.Source); v.Kind != javascript.Object && m != nil {
		from, to = strings.ReplaceAll(m[1], `\`, "")+m[2], m[3]
	} else if v.Kind == javascript.Object && len(v.Fields) == 1 && v.Fields[0].Value.Known() {
		from, to = strings.TrimPrefix(v.Fields[0].Name, "^"), strings.TrimSuffix(v.Fields[0].Value.Text, "$1")
		for _, tail := range []string{"/?", "/", "(.*)"} {
			from = strings.TrimSuffix(from, tail)
		}
	} else {
		return "", false
	}
	to = strings.TrimSuffix(to, "/")
	return to, from == at && (to == "" || routePath(to) != "")
}

// readSetupProxy reads app.use('/api', createProxyMiddleware({ target })) and
// createProxyMiddleware('/api', { target }).
func (d configReader) readSetupProxy(c *candidate, file string, from command) {
	for _, call := range d.javascript(file, from.env).Calls("use") {
		for _, middleware := range call.Items {
			if middleware.Kind != javascript.Call || !strings.Contains(strings.ToLower(middleware.Text), "proxy") {
				continue
			}
			options, ok := middleware.Object()
			if !ok {
				d.notes.add(Note{file, call.Line, "the options of a proxy are not written out"})
				continue
			}
			var keys []string
			for _, v := range []javascript.Value{call.Item(0), middleware.Item(0)} {
				for _, item := range append([]javascript.Value{v}, v.Items...) {
					if v.Kind != javascript.Call && item.Kind == javascript.String && strings.HasPrefix(item.Text, "/") {
						keys = append(keys, item.Text)
					}
				}
			}
			d.proxyEntry(&c.block, file, "the proxy of", append(keys, contextsOf(options)...), options)
		}
	}
}

// maxPlaces is how many prefixes a pattern may have.
const maxPlaces = 8

// prefixes returns the places of a key in a table of proxies: "^/api/.*" is a
// pattern for "/api", "^/(a|b)" is two places, "/api/**" is a glob. It returns nil
// if a Proxyfile cannot express the key.
func prefixes(key string) []place {
	if !strings.HasPrefix(key, "^") {
		key = strings.TrimSuffix(strings.TrimSuffix("/"+strings.TrimPrefix(key, "/"), "/**"), "/*")
		if at := routePath(cmp.Or(key, "/")); at != "" {
			return []place{{path: at}}
		}
		return nil
	}
	parsed, err := syntax.Parse(key, syntax.Perl)
	if err != nil {
		return nil
	}
	e := &enumeration{texts: []string{""}}
	if !e.add(parsed.Simplify()) {
		return nil
	}
	var out []place
	for _, text := range e.texts {
		at := cmp.Or(strings.TrimSuffix(text, "/"), "/")
		if !e.closed && at == text && strings.Contains(path.Base(at), ".") && !strings.HasSuffix(at, "*") {
			at += "*" // "^/pkg.v1" also matches /pkg.v1.Service
		}
		if !plainPath.MatchString(at) || path.Clean(at) != at {
			return nil
		}
		if p := (place{at, e.closed}); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// enumeration lists the texts with which a match of a pattern can begin.
type enumeration struct {
	texts        []string
	open, closed bool // after ".*"; after "$"
}

// add appends what re matches. It returns false if that is not a list of texts.
func (e *enumeration) add(re *syntax.Regexp) bool {
	if e.open || e.closed { // only what accepts everything may follow
		return re.Op == syntax.OpEndText || re.Op == syntax.OpEndLine || re.Op == syntax.OpEmptyMatch || uncaptured(re).Op == syntax.OpStar && anything(uncaptured(re).Sub[0])
	}
	switch re.Op {
	case syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEmptyMatch:
		return true
	case syntax.OpEndText, syntax.OpEndLine:
		e.closed = true
		return true
	case syntax.OpLiteral:
		return re.Flags&syntax.FoldCase == 0 && e.append(string(re.Rune))
	case syntax.OpAnyCharNotNL: // a dot that should have been escaped
		return e.append(".")
	case syntax.OpCapture:
		return e.add(re.Sub[0])
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !e.add(sub) })
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			inner := &enumeration{texts: []string{""}}
			if !inner.add(sub) || inner.closed {
				return false
			}
			all = append(all, inner.texts...)
			e.open = e.open || inner.open
		}
		return e.append(all...)
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1] && len(all) <= maxPlaces; r++ {
				all = append(all, string(r))
			}
		}
		return e.append(all...)
	case syntax.OpPlus:
		if segment := uncaptured(re.Sub[0]); segment.Op == syntax.OpCharClass && slices.Equal(segment.Rune, []rune{0, '/' - 1, '/' + 1, unicode.MaxRune}) {
			return e.append("*") // "[^/]+", one segment
		}
		e.open = anything(re.Sub[0])
		return e.open
	case syntax.OpStar, syntax.OpQuest: // "(/.*)?", ".*" and "/?" do not change the prefix
		e.open = anything(re.Sub[0]) && re.Op == syntax.OpStar || beginsSegment(re.Sub[0])
		return e.open
	}
	return false
}

// append appends each of parts to each of the texts.
func (e *enumeration) append(parts ...string) bool {
	var out []string
	for _, text := range e.texts {
		for _, part := range parts {
			out = append(out, text+part)
		}
	}
	e.texts = out
	return len(out) > 0 && len(out) <= maxPlaces
}

// uncaptured returns re without the groups around it.
func uncaptured(re *syntax.Regexp) *syntax.Regexp {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	return re
}

// anything reports whether re matches any character.
func anything(re *syntax.Regexp) bool {
	op := uncaptured(re).Op
	return op == syntax.OpAnyChar || op == syntax.OpAnyCharNotNL
}

// beginsSegment reports whether what re matches begins with "/".
func beginsSegment(re *syntax.Regexp) bool {
	for re.Op == syntax.OpCapture || re.Op == syntax.OpConcat {
		re = re.Sub[0]
	}
	return re.Op == syntax.OpLiteral && re.Rune[0] == '/'
}
