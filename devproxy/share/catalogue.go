package share

import (
	"strings"
	"sync"
)

// pattern is one name, path or query parameter of a rule, compiled.
type pattern struct {
	rule *Rule
	// show is the text that opens it: ".env", "*.pem", "/rails/mailers", "?pp=env".
	show     string
	anywhere bool     // a path at any depth; otherwise at the root alone
	segments []string // of a path; each may hold "*"
	except   []*pattern
	value    string // of a query parameter, with "*"; empty means any
}

// catalogue is the table of rules, compiled for looking up.
type catalogue struct {
	names   map[string]*pattern   // whole file names
	endings map[string]*pattern   // ".pem", ".sql.gz"
	begin   globs                 // other file names, by the byte they begin with
	end     globs                 // those that begin with "*", by the byte they end with
	paths   map[string][]*pattern // by their first segment
	wild    globs                 // paths whose first segment holds "*", not first
	query   map[string][]*pattern // by the parameter's name
	texts   []textPattern
	shows   map[string]bool // every text that opens something
}

// textPattern is a text anywhere in a target, and what opens it.
type textPattern struct {
	text string
	*pattern
}

// globs are patterns by one byte that the text must hold at a known place.
type globs [256][]*pattern

// compiled is the catalogue of hiddenRules. It is never changed.
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
	var first *pattern
	note := func(p *pattern) {
		if c.shows[p.show] = true; first == nil {
			first = p
		}
	}
	defer func() {
		for _, text := range rule.texts {
			c.texts = append(c.texts, textPattern{text, first})
		}
	}()
	for _, name := range rule.names {
		p := &pattern{rule: rule, show: name, segments: []string{name}}
		ending, isEnding := strings.CutPrefix(name, "*.")
		switch {
		case isEnding && !strings.Contains(ending, "*"):
			c.endings["."+ending] = p
		case strings.HasPrefix(name, "*"):
			c.end[name[len(name)-1]] = append(c.end[name[len(name)-1]], p)
		case strings.Contains(name, "*"):
			c.begin[name[0]] = append(c.begin[name[0]], p)
		default:
			c.names[name] = p
		}
		note(p)
	}
	var except []*pattern
	for _, path := range rule.except {
		except = append(except, newPath(rule, path))
	}
	for _, path := range rule.paths {
		p := newPath(rule, path)
		p.except = except
		if first := p.segments[0]; strings.Contains(first, "*") {
			c.wild[first[0]] = append(c.wild[first[0]], p)
		} else {
			c.paths[first] = append(c.paths[first], p)
		}
		note(p)
	}
	for _, parameter := range rule.query {
		name, value, _ := strings.Cut(parameter, "=")
		p := &pattern{rule: rule, show: "?" + parameter, value: value}
		c.query[name] = append(c.query[name], p)
		note(p)
	}
}

func newPath(rule *Rule, path string) *pattern {
	rest, anywhere := strings.CutPrefix(path, "**")
	return &pattern{rule: rule, show: rest, anywhere: anywhere, segments: strings.Split(strings.TrimPrefix(rest, "/"), "/")}
}

// match reports whether the path p is at segments[at:], and where it ends. Its
// last segment may carry an ending.
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

// withoutEnding is name without an ending that the tool of p takes no notice of.
// Connect and Express mount at "/x" also what is at "/x.anything". Where a
// source file may have the name, only the endings count by which frameworks
// choose a format.
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

// glob reports whether text matches pattern, in which "*" is any text.
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
		_, after, found := strings.Cut(text, piece)
		if !found {
			return false
		}
		text = after
	}
}
