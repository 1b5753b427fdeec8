package scaffold

import (
	"cmp"
	"path"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// place is where a route applies.
type place struct {
	path  string
	exact bool
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
		at := strings.TrimSuffix(text, "/")
		if at == "" {
			at = "/"
		}
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
		open := false
		for _, sub := range re.Sub {
			inner := &enumeration{texts: []string{""}}
			if !inner.add(sub) || inner.closed {
				return false
			}
			all = append(all, inner.texts...)
			open = open || inner.open
		}
		e.open = open
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
