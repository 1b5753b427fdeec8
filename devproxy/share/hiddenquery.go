package share

import (
	"slices"
	"strings"
)

// query checks the query of a path: for hidden parameters, for hidden files that a
// parameter names, and for a way out of the path's folder. onDisk reports that the path
// names a place on the disk.
func (g *guard) query(query string, path *readings, onDisk bool) (Hit, bool) {
	text, ok := foldPath(query)
	if !ok {
		return Hit{Kind: Secrets, What: whatEncoding}, true
	}
	if hit, hidden := g.text(text); hidden {
		return hit, true
	}
	files := g.filesIn(path)
	for parameter := range strings.FieldsFuncSeq(text, separatesParameters) {
		key, value, _ := strings.Cut(parameter, "=")
		if climbs(key) || onDisk && climbs(parameter) {
			return Hit{Kind: Secrets, What: whatWay}, true
		}
		if hit, hidden := g.parameter(key, value); hidden {
			return hit, true
		}
		if files != nil && files.rule.namesFile(key) {
			if hit, hidden := g.file(value); hidden {
				return hit, true
			}
		}
	}
	return Hit{}, false
}

// separatesParameters reports "&" (URL Standard), ";" (HTML 4, appendix B.2.2, which
// old parsers still read), and what begins or ends a query.
func separatesParameters(r rune) bool { return r == '&' || r == ';' || r == '?' || r == '#' }

// parameter checks one parameter, in each way that parsers read its key.
func (g *guard) parameter(key, value string) (Hit, bool) {
	c := compiled()
	for _, name := range keys(key) {
		for _, p := range c.query[name] {
			if (p.value == "" || glob(p.value, strings.TrimSpace(value))) && !g.shown.texts[p.show] {
				return p.hit(), true
			}
		}
	}
	return Hit{}, false
}

// cookie reports whether a cookie has the effect of a hidden parameter of the same
// name. PHP reads the name like that of a parameter.
func (g *guard) cookie(name string) bool {
	folded, ok := foldPath(name)
	return !ok || slices.ContainsFunc(keys(folded), func(key string) bool {
		return slices.ContainsFunc(compiled().query[key], func(p *pattern) bool { return p.rule.cookies && !g.shown.texts[p.show] })
	})
}

// climbs reports whether a piece of a query leads to a folder above. Vite before 6.2.5
// read the query as a part of the path: "/@fs/PROJECT/?/../../etc/passwd" read any file
// (CVE-2025-31486). Apps write such a way only into the value of a parameter.
func climbs(piece string) bool {
	i := strings.IndexAny(piece, `/\`)
	return i >= 0 && slices.ContainsFunc(appendSegments(nil, piece[i:]), isUp)
}

// keys returns the names that parsers read in key. Parsers in C end it at a NUL. PHP
// reads "a.b", "a b" and "a[b" as "a_b", and like most parsers "a[]" as the list "a".
func keys(key string) []string {
	key = strings.TrimLeft(key, "+ ")
	ended, _, _ := strings.Cut(key, "\x00")
	list, _, _ := strings.Cut(ended, "[")
	var all []string
	for _, name := range []string{key, ended, list} {
		name = visible(name)
		all = append(all, name, inPHP.Replace(name))
	}
	return all
}

// inPHP changes a parameter's name to PHP's name of the variable.
var inPHP = strings.NewReplacer(".", "_", "+", "_", " ", "_", "[", "_")

// filesIn returns the pattern of a path whose parameters name files; nil for none.
func (g *guard) filesIn(path *readings) *pattern {
	for _, segments := range path {
		for i, name := range segments {
			for _, p := range compiled().paths[name] {
				if end, ok := p.match(segments, i); ok && p.rule.fileIn != nil && !g.shown.pattern(p, segments, end, g.sent) {
					return p
				}
			}
		}
	}
	return nil
}

// namesFile reports whether the parameter key names a file in the rule's paths.
func (r *Rule) namesFile(key string) bool {
	return slices.ContainsFunc(keys(key), func(name string) bool { return slices.Contains(r.fileIn, name) })
}

// file checks the value of a parameter that names a file. A URL of another site does
// not.
func (g *guard) file(value string) (Hit, bool) {
	if strings.Contains(value, "://") && !strings.HasPrefix(value, "file:") || strings.HasPrefix(value, "//") {
		return Hit{}, false
	}
	path, _, _ := strings.Cut(value, "?")
	return g.look(strings.TrimPrefix(path, "file:"), "")
}
