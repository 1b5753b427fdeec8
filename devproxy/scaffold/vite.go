package scaffold

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

func isViteConfig(name string) bool {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) == "vite.config" && strings.Contains(" .ts .js .mts .mjs .cts .cjs ", " "+ext+" ")
}

const vitePort = 5173

// readVite reads server.port and server.proxy.
func readVite(s *scan, file string, text []byte) {
	r := newJSReader(text)
	config, found := r.config()
	if !found {
		s.draft.note(file, 0, "its configuration is not an object that can be read without running it")
	}
	server, _ := config.field("server")
	h := &host{upstream: strconv.Itoa(s.vitePort(file, server)), what: "vite", file: file}
	said := "port " + h.upstream
	if https, on := server.field("https"); on && https.text != "false" {
		h.upstream = "https://localhost:" + h.upstream
	}
	proxy, _ := server.field("proxy")
	if proxy.source != "" && !proxy.object {
		s.draft.note(file, proxy.line, "server.proxy is not written out as an object")
	}
	for _, f := range proxy.fields {
		made, why := viteRoute(f)
		if why != "" {
			s.draft.note(file, f.value.line, why)
		}
		if made.path == "" {
			continue
		}
		h.route(s.draft, file, f.value.line, made)
		said += fmt.Sprintf(", server.proxy %q -> %s", made.path, spoken(made.upstream))
	}
	s.draft.say(file, "%s", said)
	s.app(h)
}

func spoken(upstream string) string {
	if portOf(upstream) != 0 {
		return "localhost:" + upstream
	}
	return upstream
}

// vitePort is what the dev script says, else server.port, else Vite's own.
func (s *scan) vitePort(file string, server jsValue) int {
	if port := s.scriptPort(path.Join(path.Dir(file), "package.json")); port != 0 {
		return port
	}
	port, said := server.field("port")
	if n := portOf(port.text); port.known && n != 0 {
		return n
	}
	if said {
		s.draft.note(file, port.line, fmt.Sprintf("server.port is not written as a number; %d is taken", vitePort))
	}
	return vitePort
}

// config is the object that the file exports.
func (r *jsReader) config() (jsValue, bool) {
	for i := 0; i+2 < len(r.tokens); i++ {
		a, b := r.tokens[i], r.tokens[i+1]
		switch {
		case a.kind == js.ExportToken && b.kind == js.DefaultToken:
			return r.unwrap(i+2, 0)
		case a.text == "." && b.text == "exports" && r.tokens[i+2].text == "=":
			return r.unwrap(i+3, 0)
		}
	}
	return jsValue{}, false
}

// unwrap finds the object in defineConfig({…}), in a function that returns
// it, and behind a name.
func (r *jsReader) unwrap(i, depth int) (jsValue, bool) {
	if i >= len(r.tokens) || depth > maxNesting {
		return jsValue{}, false
	}
	end := r.end(i)
	for at := i; at < end; at++ {
		if t := r.tokens[at].text; t == "=>" {
			if at+1 < end && r.tokens[at+1].text == "{" {
				return r.returned(at+1, depth)
			}
			return r.unwrap(at+1, depth+1)
		} else if t == "{" && r.tokens[i].kind == js.FunctionToken {
			return r.returned(at, depth)
		}
		if r.tokens[i].text != "(" && r.tokens[i].text != "async" && r.tokens[i].kind != js.FunctionToken {
			break
		}
	}
	if js.IsIdentifier(r.tokens[i].kind) && i+1 < end && r.tokens[i+1].text == "(" {
		return r.unwrap(i+2, depth+1)
	}
	v := r.value(i)
	return v, v.object
}

// returned is what the body that begins at i returns at its end.
func (r *jsReader) returned(i, depth int) (jsValue, bool) {
	level, last := 0, 0
	for at := i; at < len(r.tokens); at++ {
		t := r.tokens[at]
		if opens(t.text) {
			level++
		}
		if closes(t.text) {
			if level--; level == 0 {
				break
			}
		}
		if t.kind == js.ReturnToken && level == 1 {
			last = at
		}
	}
	if last == 0 {
		return jsValue{}, false
	}
	return r.unwrap(last+1, depth+1)
}

// viteRoute is one entry of server.proxy. A route without a path is not
// carried over; why can stand beside a route too, when a part of it is not.
func viteRoute(f jsField) (made route, why string) {
	if f.name == "" {
		return route{}, "a part of server.proxy is not written out: " + short(f.value.source)
	}
	at := routePath(prefixOf(f.name))
	if at == "" {
		return route{}, fmt.Sprintf("server.proxy %q is not a plain prefix", f.name)
	}
	to := f.value
	if f.value.object {
		to, _ = f.value.field("target")
	}
	upstream, prefix, ok := target(to.text)
	if !to.known || !ok || prefix != "" && routePath(prefix) == "" {
		return route{}, fmt.Sprintf("server.proxy %q has a target that is not a plain URL", f.name)
	}
	made = route{path: at, upstream: upstream}
	rest := at
	for _, option := range f.value.fields {
		switch option.name {
		case "target", "changeOrigin", "ws", "xfwd":
			// Upgrades are always forwarded, and Host follows the upstream.
		case "secure":
			made.skipVerify = option.value.text == "false" && strings.HasPrefix(upstream, "https://")
		case "rewrite":
			if to, ok := rewritten(option.value.source, at); ok {
				rest = to
			} else {
				why = fmt.Sprintf("the rewrite of %q is not of the form path.replace(/^\\%s/, '')", f.name, at)
			}
		default:
			why = fmt.Sprintf("%s of server.proxy %q", short(option.name), f.name)
		}
	}
	switch whole := strings.TrimSuffix(prefix, "/") + strings.TrimSuffix(rest, "/"); {
	case whole == strings.TrimSuffix(at, "/"):
	case whole == "":
		made.strip = true
	default:
		made.rewrite = whole + "{rest}"
	}
	return made, why
}

var plainPattern = regexp.MustCompile(`^\^((?:\\?/[\w-]+)+)(?:\\?/|\\?/\.\*|\(\\?/\.\*\)\?|\.\*)?$`)

// prefixOf is the prefix that a key of server.proxy means: "^/api/.*" is a
// pattern that means "/api".
func prefixOf(key string) string {
	if m := plainPattern.FindStringSubmatch(key); m != nil {
		return strings.ReplaceAll(m[1], `\`, "")
	}
	return key
}

var replaceCall = regexp.MustCompile("\\.replace\\((?:/\\^?((?:\\\\/[\\w.-]+)+)(?:\\\\/)?/|[\"'`]((?:/[\\w.-]+)+)/?[\"'`]),[\"'`]([^\"'`]*)[\"'`]\\)$")

// rewritten is what a rewrite function puts in place of at.
func rewritten(source, at string) (string, bool) {
	m := replaceCall.FindStringSubmatch(strings.TrimSuffix(source, ","))
	if m == nil || strings.ReplaceAll(m[1], `\`, "")+m[2] != at {
		return "", false
	}
	to := strings.TrimSuffix(m[3], "/")
	return to, to == "" || routePath(to) != ""
}

func short(text string) string {
	const most = 40
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return printable(text)
}
