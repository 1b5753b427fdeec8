package share

import (
	"net/url"
	"slices"
	"strings"
)

// prefixes are path prefixes, by their segments, that match as routes do: on
// the border of a segment.
type prefixes [][]string

// newPrefixes cuts paths, which are decoded and clean as those of routes are.
func newPrefixes(paths []string) prefixes {
	result := make(prefixes, len(paths))
	for i, path := range paths {
		result[i] = split(path)
	}
	return result
}

// all reports that one of them is "/".
func (p prefixes) all() bool {
	for _, prefix := range p {
		if len(prefix) == 0 {
			return true
		}
	}
	return false
}

// match reports whether path, percent-encoded as it came, begins with one of
// them in every reading. By raw segments is the narrowest: what matches so also
// does with %2F decoded and empty segments dropped. Decoded until nothing is
// left to decode it must not lead elsewhere. A path that no two programs read
// alike matches only "/".
func (p prefixes) match(path string) bool {
	if p.all() {
		return true
	}
	full, ok := settle(path, unescape)
	if !ok || !strings.HasPrefix(path, "/") || strings.ContainsAny(full, "\\\x00") {
		return false
	}
	for _, segments := range [][]string{decoded(strings.Split(path[1:], "/")), split(full)} {
		if slices.ContainsFunc(segments, isDots) || !p.begin(segments) {
			return false
		}
	}
	return true
}

// decoded are segments with their escapes decoded once; nil when one cannot be.
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

// isDots reports whether a program that cuts parameters off, at least, takes
// segment for the way to this folder or the one above.
func isDots(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}

// begin reports whether segments begin with one of the prefixes.
func (p prefixes) begin(segments []string) bool {
	for _, prefix := range p {
		if len(segments) >= len(prefix) && slices.Equal(segments[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}
