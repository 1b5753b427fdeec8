package share

import (
	"net/url"
	"slices"
	"strings"
)

// prefixes are path prefixes that match like routes: at the border of a segment, and
// with "*" for any characters within one.
type prefixes []prefix

// prefix is the segments of a path prefix, as written and folded.
type prefix struct {
	segments []string
	folded   readings
}

// newPrefixes cuts paths, which are decoded and clean like those of routes.
func newPrefixes(paths []string) prefixes {
	result := make(prefixes, len(paths))
	for i, path := range paths {
		result[i] = prefix{split(path), read(fold(path))}
	}
	return result
}

// all reports whether one of them is "/".
func (p prefixes) all() bool {
	return slices.ContainsFunc(p, func(prefix prefix) bool { return len(prefix.segments) == 0 })
}

// match reports whether path, percent-encoded as it came, begins with one of them in
// every reading. The raw segments are the narrowest: what matches them also matches
// with %2F decoded and empty segments dropped. Decoded until nothing is left to decode,
// and folded as the guard folds, it must not lead elsewhere. A path that programs read
// differently matches only "/".
func (p prefixes) match(path string) bool {
	if p.all() {
		return true
	}
	full := unescape(path)
	folded, ok := foldPath(path)
	if !ok || !strings.HasPrefix(path, "/") || strings.ContainsAny(full, "\\\x00") {
		return false
	}
	raw, decoded, lenient := decoded(strings.Split(path[1:], "/")), split(full), read(folded)
	return slices.ContainsFunc(p, func(prefix prefix) bool {
		return prefix.begins(raw) && prefix.begins(decoded) && prefix.beginsFolded(lenient)
	})
}

// decoded decodes the escapes of segments once. It returns nil when one is invalid.
func decoded(segments []string) []string {
	result := make([]string, len(segments))
	for i, segment := range segments {
		text, err := url.PathUnescape(segment)
		if err != nil {
			return nil
		}
		result[i] = text
	}
	return result
}

// begins reports whether segments begin with the prefix and stay below it.
func (p *prefix) begins(segments []string) bool {
	return hasPatterns(segments, p.segments) && !slices.ContainsFunc(segments, isDots)
}

func (p *prefix) beginsFolded(path readings) bool {
	for i, segments := range path {
		if !hasPatterns(segments, p.folded[i]) || slices.ContainsFunc(segments, isUp) {
			return false
		}
	}
	return true
}

// hasPatterns reports whether the first segments match patterns. "*" alone needs a
// character: no segment is empty.
func hasPatterns(segments, patterns []string) bool {
	return begin(segments, patterns, func(segment, pattern string) bool { return segment != "" && glob(pattern, segment) })
}

// begin reports whether the first segments match prefix.
func begin(segments, prefix []string, matches func(segment, want string) bool) bool {
	return len(segments) >= len(prefix) && slices.EqualFunc(segments[:len(prefix)], prefix, matches)
}

// isDots reports whether segment is this folder or the one above, at least to a program
// that cuts off parameters.
func isDots(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}
