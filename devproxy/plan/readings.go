package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// otherwise looks at path as other programs may read it. It returns why a request
// that devproxy reads as one for route must be refused, or "" if it need not be.
// s is the shape of path.
//
// Programs differ in six things: whether "%2F" separates segments, whether "\"
// does, whether dot segments are resolved, whether a ";" begins parameters that
// are ignored, what an empty segment means, and whether case counts. The rules:
//
//   - No reading may reach a route with a guard (basic_auth, allow, deny) that
//     route does not have. No spelling of a path gets around a guard.
//   - With "%2F", "\" and dot segments, all readings must also have the same
//     answer: nothing says which one is meant.
//   - "//" counts as "/". A trailing "/" counts for exact routes: "/only/" does not
//     match an exact "/only". A ";" is an ordinary character, and case counts. Their
//     other readings may have another answer.
//   - A ".." above the root is refused where the upstream's path is made from the
//     route's: rewrite = "/public{rest}" must not become "/public/..".
func (h *Host) otherwise(path string, s shape, r *Request, route *Route) (wrong string) {
	for _, parameters := range []bool{false, true} {
		if parameters && (!s.parameters || !h.guarded) {
			break
		}
		for _, by := range []separators{{}, {slash: true}, {backslash: true}, {true, true}} {
			if !parameters && (by.slash && !s.slash || by.backslash && !s.backslash) {
				continue
			}
			as := reading{by: by, parameters: parameters}
			if wrong = h.readAs(path, as, s.dots || parameters, r, route); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// readAs compares route with the readings of path that as describes: with its dot
// segments and, if dots is true, with those resolved.
func (h *Host) readAs(path string, as reading, dots bool, r *Request, route *Route) (wrong string) {
	if as.parameters {
		path = withoutParameters(path, as.by)
	}
	if wrong = h.compare(path, as.by, as, r, route); wrong != "" || !dots {
		return wrong
	}
	as.dots = true
	for _, merge := range []bool{true, false} {
		resolved, climbs := withoutDots(cutter{rest: path, separators: as.by, merge: merge})
		if climbs && (as.parameters || route == nil || route.mapsPath()) {
			return `has a ".." segment above the root`
		}
		if wrong = h.compare(resolved, separators{}, as, r, route); wrong != "" {
			return wrong
		}
	}
	return ""
}

// compare compares route with path cut by separators, in the ways that differ in
// what an empty segment means, and in whether case counts. as describes the path
// in errors.
func (h *Host) compare(path string, by separators, as reading, r *Request, route *Route) (wrong string) {
	cutters := []cutter{
		{rest: path, separators: by, merge: true},
		{rest: path, separators: by, merge: true, untrailed: true},
		{rest: path, separators: by},
	}
	if by == (separators{}) && !strings.Contains(path, "//") && !strings.HasSuffix(path, "/") {
		cutters = cutters[:1] // the others differ in empty segments only
	}
	for i, c := range cutters {
		other := h.tree.find(c, r)
		if route.weaker(other) || i == 0 && !as.parameters && !route.same(other) {
			how := as.String()
			switch {
			case how == "" && c.untrailed:
				how = `without its trailing "/"`
			case how == "":
				how = "where empty segments count"
			}
			return ambiguous(route, other, how)
		}
		if !h.guarded {
			return ""
		}
		// If two paths differ only in case, the Proxyfile itself distinguishes them.
		if other := h.folded.find(c, r); route.weaker(other) && (route == nil || foldText(route.Path) != other.Path) {
			as.folded = true
			return ambiguous(route, other.original, as.String())
		}
	}
	return ""
}

// reading is one way to read a path, apart from what an empty segment means.
type reading struct {
	by         separators
	dots       bool // resolved
	parameters bool // cut off
	folded     bool // without case
}

// String is to be read after "matches a route"; it is empty for devproxy's own
// reading.
func (r reading) String() string {
	var parts []string
	switch {
	case r.parameters:
		parts = append(parts, `";" begins a parameter`)
	case r.by.slash && r.by.backslash:
		parts = append(parts, `"%2F" and "\" count as "/"`)
	case r.by.slash:
		parts = append(parts, `"%2F" counts as "/"`)
	case r.by.backslash:
		parts = append(parts, `"\" counts as "/"`)
	}
	if r.dots {
		parts = append(parts, `"." and ".." segments are resolved`)
	}
	if r.folded {
		parts = append(parts, "case is ignored")
	}
	if len(parts) == 0 {
		return ""
	}
	return "where " + strings.Join(parts, " and ")
}

// ambiguous returns the reason to refuse a path whose readings reach two routes,
// either of which may be nil.
func ambiguous(own, other *Route, how string) string {
	return fmt.Sprintf("matches %s as it is written, and %s %s", labelOf(own), labelOf(other), how)
}

func labelOf(r *Route) string {
	if r == nil {
		return "no route"
	}
	return fmt.Sprintf("route %q", r.Label())
}

// fold prepares h for programs that ignore case, such as those on Windows and
// macOS. Of routes whose folded paths are equal, those with a guard come first.
func (h *Host) fold() {
	h.folded, h.cased = tree{}, false
	if !h.guarded {
		return
	}
	var copies []*Route
	for _, r := range h.Routes {
		c := *r
		c.Path, c.original = foldText(r.Path), r
		h.cased = h.cased || c.Path != r.Path
		copies = append(copies, &c)
	}
	slices.SortStableFunc(copies, func(a, b *Route) int {
		return cmp.Or(comparePaths(a.Path, b.Path), trueFirst(a.guarded(), b.guarded()))
	})
	h.folded = newTree(copies)
	h.folded.fold = true
}

// foldSegment returns a percent-encoded segment with its text folded.
func foldSegment(segment string) string {
	if !strings.Contains(segment, "%") {
		return foldText(segment)
	}
	decoded, _ := decodeInto(nil, segment, len(segment))
	return strings.ReplaceAll(foldText(string(decoded)), "%", "%25")
}

// foldText returns a text that is equal for texts that differ in nothing but
// case: each letter becomes the lower case of its case variants.
func foldText(text string) string {
	cased := false
	for i := range len(text) {
		cased = cased || isCased(text[i])
	}
	if !cased {
		return text
	}
	var out strings.Builder
	out.Grow(len(text))
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		if folded := foldRune(r); folded != r {
			out.WriteRune(folded)
		} else {
			out.WriteString(text[:size]) // a byte that is not UTF-8 stays
		}
		text = text[size:]
	}
	return out.String()
}

// foldBytes is foldText for a text that the caller may change. It allocates only
// for letters outside of ASCII.
func foldBytes(text []byte) []byte {
	for i, c := range text {
		switch {
		case c >= utf8.RuneSelf:
			return []byte(foldText(string(text)))
		case 'A' <= c && c <= 'Z':
			text[i] = c + 'a' - 'A'
		}
	}
	return text
}

// foldRune returns the lower case of the first of r's case variants, so that "k",
// "K" and the Kelvin sign are equal.
func foldRune(r rune) rune {
	first := r
	for variant := unicode.SimpleFold(r); variant != r; variant = unicode.SimpleFold(variant) {
		first = min(first, variant)
	}
	return unicode.ToLower(first)
}

// isCased reports whether foldText may change a text with this byte.
func isCased(c byte) bool { return 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf }
