package scaffold

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// condition is a matcher's requirement on a request.
type condition struct {
	paths   []string
	host    string
	match   string // HCL
	file    string // "yes" for paths that are files of the root, "no" for the others
	unknown string // a requirement that a Proxyfile cannot express
}

// matcher reads a named matcher.
func (s *caddySite) matcher(d directive) condition {
	lines := append([]directive{{words: d.args(), line: d.line, block: d.block}}, d.block...)
	var c condition
	match := map[string][]string{}
	for _, line := range lines {
		args, known := line.args(), true
		switch line.name() {
		case "", "protocol":
		case "path":
			c.paths = append(c.paths, args...)
		case "path_regexp":
			places := prefixes(line.last())
			known = len(places) > 0 && strings.HasPrefix(line.last(), "^")
			for _, p := range places {
				c.paths = append(c.paths, p.path)
				if !p.exact {
					c.paths = append(c.paths, strings.TrimSuffix(p.path, "/")+"/*")
				}
			}
		case "method":
			for _, m := range args {
				match["methods"] = append(match["methods"], quoted(strings.ToUpper(m)))
			}
		case "header":
			if known = len(args) == 2 && plainKey.MatchString(args[0]) && !strings.ContainsAny(args[1], "{}"); known {
				match["headers"] = append(match["headers"], quoted(args[0])+" = "+quoted(args[1]))
			}
		case "query":
			for _, pair := range args {
				k, v, ok := strings.Cut(pair, "=")
				known = known && ok && k != "" && !strings.ContainsAny(pair, "{}")
				match["query"] = append(match["query"], quoted(k)+" = "+quoted(v))
			}
		case "host":
			c.host = line.word(1)
			known = len(args) == 1 && caddyName(c.host) != ""
		case "file":
			c.file = "yes"
		case "not":
			c.file = "no"
			known = line.word(1) == "file" || len(line.block) == 1 && line.contains("file")
		default:
			known = false
		}
		if !known {
			c.unknown = strings.Join(line.words, " ")
		}
	}
	var parts []string
	for _, format := range []string{"methods = [%s]", "headers = { %s }", "query = { %s }"} {
		name, _, _ := strings.Cut(format, " ")
		if list := match[name]; list != nil {
			parts = append(parts, fmt.Sprintf(format, strings.Join(list, ", ")))
		}
	}
	if len(parts) > 0 {
		c.match = "{ " + strings.Join(parts, ", ") + " }"
	}
	return c
}

// paths returns the paths to which a directive applies, the words after its
// matcher, and the condition with that of the matcher. It returns no paths if a
// Proxyfile cannot express the matcher.
func (s *caddySite) paths(d directive, below string, when condition) (paths, rest []string, under condition) {
	rest = d.args()
	first := d.word(1)
	switch {
	case first == "*":
	case strings.HasPrefix(first, "@"):
		c, ok := s.named(d, when)
		if !ok {
			return nil, nil, when
		}
		paths, when = c.paths, c
	case strings.HasPrefix(first, "/") && takesPath(d):
		paths = rest[:1]
	default:
		return []string{below}, rest, when
	}
	if len(paths) == 0 {
		return []string{below}, rest[1:], when
	}
	base := strings.TrimSuffix(strings.TrimSuffix(below, "*"), "/")
	var good []string
	for _, p := range paths {
		at := p
		if !strings.HasPrefix(p, base) {
			at = base + p
		}
		if routePath(at) == "" {
			s.note(d, "a Proxyfile can't express the path %q", p)
		} else {
			good = append(good, at)
		}
	}
	// "/api /api/*" is one prefix.
	return slices.DeleteFunc(slices.Clone(good), func(p string) bool { return slices.Contains(good, p+"/*") || slices.Contains(good, p+"*") }), rest[1:], when
}

// takesPath reports whether the first argument of d, a path, is a matcher and not
// where to redirect to.
func takesPath(d directive) bool {
	switch d.name() {
	case "redir":
		status := d.word(2)
		return len(d.words) > 2 && !oneOf("permanent|temporary|html", status) && (len(status) != 3 || portOf(status) == 0)
	case "rewrite", "uri":
		return len(d.words) > 2
	}
	return true
}

// named returns the condition of a directive's named matcher together with the
// outer one. ok is false if a Proxyfile cannot express it.
func (s *caddySite) named(d directive, outer condition) (c condition, ok bool) {
	name := d.word(1)
	c, known := s.at[name]
	switch {
	case !known:
		s.note(d, "%s %s: the matcher is not defined", d.name(), name)
	case c.unknown != "":
		s.note(d, "%s %s: a Proxyfile can't express the condition %s", d.name(), name, short(c.unknown))
	case c.match != "" && outer.match != "" && c.match != outer.match:
		s.note(d, "%s: a matcher inside another one", name)
	case c.file == "no" && len(c.paths) == 0:
		s.first, outer.paths = true, nil
		return outer, true
	case c.file != "":
		s.note(d, "%s %s: a Proxyfile can't express the condition file", d.name(), name)
	default:
		c.match = cmp.Or(c.match, outer.match)
		c.host = cmp.Or(c.host, outer.host)
		return c, true
	}
	return condition{}, false
}
