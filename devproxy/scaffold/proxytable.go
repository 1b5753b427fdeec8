package scaffold

import (
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
	"github.com/devproxy/devproxy/hcl"
)

// proxyTable adds the routes of a table that a dev server forwards by: Vite's
// server.proxy, webpack's devServer.proxy as an object or a list, Angular's
// proxy.conf. what names the table in notes.
//
// Nitro's table takes the path off by itself.
func (d *discovery) proxyTable(to *block, file, what string, table javascript.Value) {
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
	case javascript.Undefined:
	default:
		d.notes.add(Note{file, table.Line, what + " is not written out as an object"})
	}
}

func contextsOf(entry javascript.Value) []string {
	var contexts []string
	for _, key := range []string{"context", "path", "pathFilter"} {
		v, _ := entry.Field(key)
		for _, item := range append([]javascript.Value{v}, v.Items...) {
			if item.Kind == javascript.String {
				contexts = append(contexts, item.Text)
			}
		}
	}
	return contexts
}

// ignored are options that devproxy does by itself, or that do not change where
// a request goes.
var ignored = strings.Fields("target context path pathFilter changeOrigin ws xfwd autoRewrite hostRewrite protocolRewrite cookieDomainRewrite cookiePathRewrite logLevel logger timeout proxyTimeout followRedirects preserveHeaderKeyCase enable logs")

func (d *discovery) proxyEntry(to *block, file, what string, keys []string, entry javascript.Value) {
	target := entry
	if entry.Kind == javascript.Object {
		target, _ = entry.Field("target")
	}
	for _, key := range keys {
		if key == "" {
			d.notes.add(Note{file, entry.Line, "a part of " + what + " is not written out: " + short(entry.Source)})
			continue
		}
		places := prefixes(key)
		if len(places) == 0 {
			d.notes.add(Note{file, entry.Line, fmt.Sprintf("%s %q is not a plain prefix", what, key)})
			continue
		}
		upstream, prefix, ok := targetOf(target.Text)
		if bypass, has := entry.Field("bypass"); has && !target.Known() {
			d.notes.add(Note{file, bypass.Line, fmt.Sprintf("%s %q answers by a function", what, key)})
			continue
		}
		if !target.Known() || !ok || prefix != "" && routePath(prefix) == "" {
			d.notes.add(Note{file, entry.Line, fmt.Sprintf("%s %q has a target that is not a plain URL: %s", what, key, short(target.Source))})
			continue
		}
		for _, place := range places {
			made := route{path: place.path, exact: place.exact, block: block{upstream: upstream}}
			d.proxyOptions(&made, file, fmt.Sprintf("%s %q", what, key), prefix, entry)
			if made.path == "/" && !made.exact {
				d.notes.add(Note{file, entry.Line, fmt.Sprintf("%s %q would take every request from the dev server", what, key)})
				continue
			}
			if to.route(made) {
				d.notes.add(Note{file, entry.Line, fmt.Sprintf("a second route %q, to %s", made.path, made.answer())})
			}
		}
	}
}

func (d *discovery) proxyOptions(made *route, file, what, prefix string, entry javascript.Value) {
	rest, at := made.path, strings.TrimSuffix(made.path, "/")
	if strings.HasPrefix(what, "nitro.") {
		rest = ""
	}
	for _, option := range entry.Fields {
		note := func(text string) { d.notes.add(Note{file, option.Value.Line, text}) }
		switch {
		case slices.Contains(ignored, option.Name):
		case option.Name == "ssl" || option.Name == "agent":
		case option.Name == "secure":
			if option.Value.Is(false) && strings.HasPrefix(made.upstream, "https://") {
				made.set("tls_skip_verify", "true")
			}
		case option.Name == "headers" && option.Value.Kind == javascript.Object:
			for _, h := range option.Value.Fields {
				if h.Value.Known() && plainKey(h.Name) && !strings.ContainsAny(h.Value.Text, "{}\r\n") {
					made.entry("request_headers", h.Name, hcl.Quote(h.Value.Text))
				} else {
					note("a header of " + what + " is not written out: " + short(h.Name))
				}
			}
		case option.Name == "rewrite" || option.Name == "pathRewrite":
			to, ok := rewritten(option.Value, at)
			if !ok {
				note("the rewrite of " + what + " is not of the form path.replace(/^\\" + made.path + "/, '')")
				continue
			}
			rest = to
		case option.Name == "prependPath" || option.Name == "ignorePath":
			note(option.Name + " of " + what)
		case option.Name == "":
			note("a part of " + what + " is not written out: " + short(option.Value.Source))
		default:
			note(short(option.Name) + " of " + what)
		}
	}
	if made.path == "/" {
		at, rest = "", strings.TrimSuffix(rest, "/")
	}
	switch whole := strings.TrimSuffix(prefix, "/") + strings.TrimSuffix(rest, "/"); whole {
	case at:
	case "":
		made.set("strip_prefix", "true")
	default:
		made.set("rewrite", hcl.Quote(whole+"{rest}"))
	}
}

var replaceCall = regexp.MustCompile("\\.replace\\((?:/\\^?((?:\\\\/[\\w.-]+)+)(?:\\\\/)?/[a-z]*|(?:newRegExp\\()?[\"'`]\\^?((?:/[\\w.-]+)+)/?[\"'`]\\)?),[\"'`]([^\"'`]*)[\"'`]\\)[;}]*$")

// rewritten is what a rewrite puts in place of at: a function that replaces it,
// or webpack's map of patterns.
func rewritten(v javascript.Value, at string) (string, bool) {
	from, to := "", ""
	if v.Kind == javascript.Object {
		if len(v.Fields) != 1 || !v.Fields[0].Value.Known() {
			return "", false
		}
		from, to = strings.TrimPrefix(v.Fields[0].Name, "^"), v.Fields[0].Value.Text
		for _, tail := range []string{"/?", "/", "(.*)"} {
			from = strings.TrimSuffix(from, tail)
		}
		to = strings.TrimSuffix(to, "$1")
	} else {
		m := replaceCall.FindStringSubmatch(v.Source)
		if m == nil {
			return "", false
		}
		from, to = strings.ReplaceAll(m[1], `\`, "")+m[2], m[3]
	}
	to = strings.TrimSuffix(to, "/")
	if from != at || to != "" && routePath(to) == "" {
		return "", false
	}
	return to, true
}

// place is where a route applies.
type place struct {
	path  string
	exact bool
}

// maxPlaces is how many prefixes a pattern may mean.
const maxPlaces = 8

// prefixes are the places that a key of a proxy table means: "^/api/.*" is a
// pattern for "/api", "^/(a|b)" is two, "/api/**" is a glob.
func prefixes(key string) []place {
	if !strings.HasPrefix(key, "^") {
		key = strings.TrimSuffix(strings.TrimSuffix(key, "/**"), "/*")
		if key == "" || key == "**" {
			key = "/"
		}
		if !strings.HasPrefix(key, "/") {
			key = "/" + key
		}
		if at := routePath(key); at != "" {
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
		at := strings.TrimSuffix(text, "/")
		if at == "" {
			at = "/"
		}
		if !e.closed && at == text && strings.Contains(path.Base(at), ".") && !strings.HasSuffix(at, "*") {
			at += "*" // "^/pkg.v1" means /pkg.v1.Service too
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

// enumeration lists the literal beginnings of a pattern.
type enumeration struct {
	texts        []string
	open, closed bool // after ".*"; after "$"
}

// add appends what re can match. It returns false where the rest cannot be said.
func (e *enumeration) add(re *syntax.Regexp) bool {
	if e.open || e.closed { // only what does not narrow it may follow
		return re.Op == syntax.OpEndText || re.Op == syntax.OpEndLine || re.Op == syntax.OpEmptyMatch ||
			(re.Op == syntax.OpStar || re.Op == syntax.OpCapture && re.Sub[0].Op == syntax.OpStar) && anyRepeat(re)
	}
	switch re.Op {
	case syntax.OpBeginText, syntax.OpBeginLine, syntax.OpEmptyMatch:
		return true
	case syntax.OpEndText, syntax.OpEndLine:
		e.closed = true
		return true
	case syntax.OpLiteral:
		return re.Flags&syntax.FoldCase == 0 && e.append([]string{string(re.Rune)})
	case syntax.OpAnyCharNotNL: // a dot that was not escaped
		return e.append([]string{"."})
	case syntax.OpCapture:
		return e.add(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !e.add(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		var all []string
		open := false
		for _, sub := range re.Sub {
			inner := &enumeration{texts: []string{""}}
			if !inner.add(sub) || inner.closed {
				return false
			}
			all = append(all, inner.texts...)
			open = open || inner.open
		}
		ok := e.append(all)
		e.open = open
		return ok
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if all = append(all, string(r)); len(all) > maxPlaces {
					return false
				}
			}
		}
		return e.append(all)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		if re.Op == syntax.OpPlus && withinSegment(re.Sub[0]) {
			return e.append([]string{"*"})
		}
		// "(/.*)?", ".*" and "/?" do not change the prefix.
		e.open = anything(re.Sub[0]) && re.Op != syntax.OpQuest || re.Op != syntax.OpPlus && fromSlash(re.Sub[0])
		return e.open
	}
	return false
}

func anyRepeat(re *syntax.Regexp) bool {
	if re.Op == syntax.OpCapture {
		return anyRepeat(re.Sub[0])
	}
	return anything(re.Sub[0])
}

func anything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpAnyChar || re.Op == syntax.OpAnyCharNotNL || re.Op == syntax.OpCapture && anything(re.Sub[0])
}

// withinSegment reports whether re is "[^/]", any character of a segment.
func withinSegment(re *syntax.Regexp) bool {
	if re.Op == syntax.OpCapture {
		return withinSegment(re.Sub[0])
	}
	return re.Op == syntax.OpCharClass && slices.Equal(re.Rune, []rune{0, '/' - 1, '/' + 1, unicode.MaxRune})
}

// fromSlash reports whether what re matches begins with "/", the start of a
// segment.
func fromSlash(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCapture, syntax.OpConcat:
		return len(re.Sub) > 0 && fromSlash(re.Sub[0])
	case syntax.OpLiteral:
		return re.Rune[0] == '/'
	}
	return false
}

func (e *enumeration) append(parts []string) bool {
	var out []string
	for _, text := range e.texts {
		for _, part := range parts {
			out = append(out, text+part)
		}
	}
	e.texts = out
	return len(out) > 0 && len(out) <= maxPlaces
}
