package share

import (
	"slices"
	"strings"
	"sync"
)

// Kind is a class of hidden things. The terminal prints its text.
type Kind string

// The kinds.
const (
	Secrets Kind = "secret"
	Tools   Kind = "developer tool"
)

// Rule is one rule that hides requests. Names, paths and query are
// alternatives: one match hides the request. They are in lower case, and each
// is also the text that opens it in `share { show = […] }`.
type Rule struct {
	Kind Kind
	// The name of the hidden thing, for "hidden: …": "Rails mail previews".
	What string

	// names are file names: "id_rsa", "*.pem", "ssh_host_*_key".
	names []string
	// paths are path patterns: "/a/b" at the root of the site, "**/a/b" at any
	// depth, opened by "/a/b". Each also hides the paths below it, and the same
	// with an ending ("/a/b.json"). "*" matches any text within a segment.
	paths []string
	// query are names of parameters, with a value where necessary:
	// "xdebug_session_start", "pp=env". "?NAME" opens them.
	query []string

	// cookies reports that a cookie with such a name has the same effect. It is dropped.
	cookies bool

	// texts hide every target that contains them, for tools that search the whole URL.
	// What opens the rule's first path or parameter opens them.
	texts []string

	// except are paths that the rule does not hide.
	except []string
	// fileIn are parameters that name a file. With them, the rule hides paths only if
	// that file is hidden.
	fileIn []string
}

// hiddenRules returns all rules that are data. The rules that need code are in
// guard.go.
func hiddenRules() []Rule {
	return append(ofKind(Secrets, secretFiles), ofKind(Tools, developerTools)...)
}

// ofKind returns rules with their kind.
func ofKind(kind Kind, rules []Rule) []Rule {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Kind = kind
	}
	return rules
}

// The things that the rules in guard.go hide.
const (
	whatDot      = "names that begin with a dot"
	whatShort    = "short names of Windows, which may be those of hidden files"
	whatOutside  = "files outside the project"
	whatWay      = "paths that lead out of their folder"
	whatOwn      = "devproxy's own pages"
	whatEncoding = "paths that are encoded several times"
)

// servedDots are the dot segments that dev servers serve to browsers. Secrets
// below them have their own rules.
var servedDots = map[string]bool{
	".well-known": true, // RFC 8615
	".vite":       true, // node_modules/.vite/deps: Vite's cacheDir
	".next":       true, ".nuxt": true, ".storybook": true, ".vitepress": true, ".svelte-kit": true, ".astro": true,
	".angular":      true, // .angular/cache/…/vite/deps: @angular/build's cache
	".react-router": true, ".vinxi": true,
	".pnpm": true, ".yarn": true, // node_modules/.pnpm, .yarn/cache and .yarn/__virtual__
	".bun": true, ".deno": true, // their isolated node_modules
	".vuepress": true, ".quasar": true, // VuePress and Quasar serve generated modules from there
	".11ty":   true,                                                // @11ty/eleventy-dev-server: /.11ty/reload-client.js in every page
	".ory":    true,                                                // the Ory proxy: its API for browsers
	".net":    true,                                                // the platform, in /tags/.net
	".source": true, ".content-collections": true, ".velite": true, // Fumadocs, Content Collections, Velite: generated modules
}

// servedBelow are dot segments that are served only below one other segment.
var servedBelow = map[string]map[string]bool{
	"node_modules": {
		".cache":           true, // Nuxt and Storybook: node_modules/.cache/…/deps
		".store":           true, // Yarn's nodeLinker: pnpm
		".prisma":          true, // the generated client for browsers
		".aspect_rules_js": true, // Bazel
		".histoire":        true, // Histoire: stories that plugins generate
	},
	".cache":    {".vite-storybook": true}, // node_modules/.cache/.vite-storybook/deps
	".vuepress": {".temp": true, ".cache": true},
	".expo":     {".virtual-metro-entry.bundle": true},
}

// servedPaths are paths below a dot segment that are served, while the rest of it is
// not, not even locally.
var servedPaths = map[string]bool{
	".netlify/functions": true, ".netlify/images": true, ".netlify/identity": true, ".netlify/builders": true, // netlify-cli 27: `netlify dev`
	".redwood/functions":      true,                                         // Redwood: its web server's proxy of the API
	".sanity/runtime":         true,                                         // sanity dev: the page's entry
	".contentlayer/generated": true,                                         // Contentlayer: generated modules
	".auth/login":             true, ".auth/logout": true, ".auth/me": true, // Azure Static Web Apps CLI
	".expo/.virtual-metro-entry.bundle": true, // @expo/cli 58: the entry of a Metro bundle
}

// pattern is one compiled name, path or query parameter of a rule.
type pattern struct {
	rule *Rule
	// show is the text that opens it: ".env", "*.pem", "/rails/mailers", "?pp=env".
	show     string
	anywhere bool     // a path at any depth; otherwise only at the root
	segments []string // of a path; each may contain "*"
	except   []*pattern
	value    string // of a query parameter, with "*"; empty means any
}

// catalogue has the rules, compiled for lookups.
type catalogue struct {
	names   map[string]*pattern   // whole file names
	endings map[string]*pattern   // ".pem", ".sql.gz"
	begin   globs                 // other file names, by the byte they begin with
	end     globs                 // those that begin with "*", by the byte they end with
	paths   map[string][]*pattern // by their first segment
	wild    globs                 // paths whose first segment contains "*", not first
	query   map[string][]*pattern // by the parameter's name
	texts   []textPattern
	shows   map[string]bool // every text that opens something
}

// textPattern is a text anywhere in a target, and the pattern that opens it.
type textPattern struct {
	text string
	*pattern
}

// globs are patterns by the byte that a text must have at a known place.
type globs [256][]*pattern

// compiled returns the catalogue of hiddenRules, which is immutable.
var compiled = sync.OnceValue(func() *catalogue { return compile(hiddenRules()) })

func compile(rules []Rule) *catalogue {
	c := &catalogue{
		names: map[string]*pattern{}, endings: map[string]*pattern{}, paths: map[string][]*pattern{},
		query: map[string][]*pattern{}, shows: map[string]bool{},
	}
	for i := range rules {
		c.add(&rules[i])
	}
	for i := range socketRules {
		c.shows[socketRules[i].show] = true
	}
	for i := range responseRules {
		c.shows[responseRules[i].show] = true
	}
	return c
}

func (c *catalogue) add(rule *Rule) {
	var patterns []*pattern
	for _, name := range rule.names {
		patterns = append(patterns, c.addName(rule, name))
	}
	for _, path := range rule.paths {
		patterns = append(patterns, c.addPath(rule, path))
	}
	for _, parameter := range rule.query {
		name, value, _ := strings.Cut(parameter, "=")
		p := &pattern{rule: rule, show: "?" + parameter, value: value}
		c.query[name] = append(c.query[name], p)
		patterns = append(patterns, p)
	}
	for _, p := range patterns {
		c.shows[p.show] = true
	}
	for _, text := range rule.texts {
		c.texts = append(c.texts, textPattern{text, patterns[0]})
	}
}

func (c *catalogue) addName(rule *Rule, name string) *pattern {
	p := &pattern{rule: rule, show: name, segments: []string{name}}
	ending, isEnding := strings.CutPrefix(name, "*.")
	switch {
	case isEnding && !strings.Contains(ending, "*"):
		c.endings["."+ending] = p
	case strings.HasPrefix(name, "*"):
		c.end.add(name[len(name)-1], p)
	case strings.Contains(name, "*"):
		c.begin.add(name[0], p)
	default:
		c.names[name] = p
	}
	return p
}

func (c *catalogue) addPath(rule *Rule, path string) *pattern {
	p := newPath(rule, path)
	for _, path := range rule.except {
		p.except = append(p.except, newPath(rule, path))
	}
	if first := p.segments[0]; strings.Contains(first, "*") {
		c.wild.add(first[0], p)
	} else {
		c.paths[first] = append(c.paths[first], p)
	}
	return p
}

func (g *globs) add(b byte, p *pattern) { g[b] = append(g[b], p) }

func newPath(rule *Rule, path string) *pattern {
	rest, anywhere := strings.CutPrefix(path, "**")
	return &pattern{rule: rule, show: rest, anywhere: anywhere, segments: strings.Split(strings.TrimPrefix(rest, "/"), "/")}
}

func (p *pattern) hit() Hit { return Hit{Kind: p.rule.Kind, What: p.rule.What, Show: p.show} }

// match reports whether the path p is at segments[at:], and where it ends. Its last
// segment may have an ending.
func (p *pattern) match(segments []string, at int) (end int, ok bool) {
	end = at + len(p.segments)
	if !p.anywhere && at > 0 || end > len(segments) {
		return 0, false
	}
	for i, want := range p.segments {
		got := segments[at+i]
		if !glob(want, got) && (i < len(p.segments)-1 || !glob(want, p.withoutEnding(got))) {
			return 0, false
		}
	}
	for _, e := range p.except {
		if _, open := e.match(segments, at); open {
			return 0, false
		}
	}
	return end, true
}

// withoutEnding returns name without an ending that the tool of p ignores. A
// handler that Connect and Express mount at "/x" also answers "/x.anything".
// Where a source file may have the name, only the endings count with which
// frameworks choose a format.
func (p *pattern) withoutEnding(name string) string {
	base, ending, _ := strings.Cut(name, ".")
	switch ending {
	case "html", "htm", "json", "xml", "txt", "csv":
		return base
	}
	if p.anywhere && name[0] != '_' {
		return name
	}
	return base
}

// glob reports whether text matches pattern, in which "*" matches any text.
func glob(pattern, text string) bool {
	before, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, before)
	if !ok {
		return false
	}
	for {
		var piece string
		piece, rest, more = strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, piece)
		}
		if _, text, ok = strings.Cut(text, piece); !ok {
			return false
		}
	}
}
