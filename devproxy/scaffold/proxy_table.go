package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
	"github.com/devproxy/devproxy/hcl"
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
			continue
		case len(places) == 0:
			note("%s is not a plain prefix", entryName)
			continue
		case answers && !target.Known():
			d.notes.add(Note{file, bypass.Line, entryName + " answers with a function"})
			continue
		case !target.Known() || !ok || prefix != "" && routePath(prefix) == "":
			note("%s has a target that is not a plain URL: %s", entryName, short(target.Source))
			continue
		}
		for _, place := range places {
			made := route{path: place.path, exact: place.exact, block: block{upstream: upstream}}
			d.proxyOptions(&made, file, entryName, prefix, entry)
			if made.path == "/" && !made.exact {
				note("%s would take every request from the dev server", entryName)
			} else if to.addRoute(made) {
				note("a second route %q, to %s", made.path, made.answer())
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
	if strings.HasPrefix(what, "nitro.") { // Nitro always removes the path
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
				if h.Value.Known() && plainKey(h.Name) && !strings.ContainsAny(h.Value.Text, "{}\r\n") {
					made.setEntry("request_headers", h.Name, hcl.Quote(h.Value.Text))
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
	if made.path == "/" {
		rest = strings.TrimSuffix(rest, "/")
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
		r.set("rewrite", hcl.Quote(to+"{rest}"))
	}
}

var replaceCall = regexp.MustCompile("\\.replace\\((?:/\\^?((?:\\\\/[\\w.-]+)+)(?:\\\\/)?/[a-z]*|(?:newRegExp\\()?[\"'`]\\^?((?:/[\\w.-]+)+)/?[\"'`]\\)?),[\"'`]([^\"'`]*)[\"'`]\\)[;}]*$")

// rewritten returns what a rewrite puts in place of at: a function that replaces
// it, or webpack's map of patterns. ok is false for any other rewrite.
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
