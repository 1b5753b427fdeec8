package answer

import (
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// name is the name that a request looks up in a folder.
type name struct {
	path string // slash-separated, below the folder; "" is the folder itself
	// slash is true when the request's path ends in "/", which means a folder.
	slash bool
}

// candidates returns the files that answer n, in the order in which they are
// tried.
func (n name) candidates() []string {
	switch {
	case n.slash:
		return []string{n.index()}
	case n.path == "":
		return nil
	}
	return []string{n.path, n.path + ".html"}
}

// index returns the page of the folder n.
func (n name) index() string {
	return strings.TrimPrefix(n.path+"/"+indexPage, "/")
}

// dotted reports whether the last segment looks like the name of a file: "app.js".
func (n name) dotted() bool {
	return strings.Contains(n.path[strings.LastIndexByte(n.path, '/')+1:], ".")
}

// wellKnown is the one segment that may begin with ".", as the first of a name:
// it is public by definition (RFC 8615).
const wellKnown = ".well-known"

// wellKnown reports whether the name is in the folder's .well-known.
func (n name) wellKnown() bool {
	first, _, _ := strings.Cut(n.path, "/")
	return first == wellKnown
}

// parseName decodes rest, the path after the route's path, exactly once. The
// result is a plain local name: no segment is empty, ".", ".." or begins with
// "." (except a first ".well-known"), and none contains a separator of any
// system or a NUL. Otherwise wrong says why not.
func parseName(rest string) (n name, wrong string) {
	if rest == "" {
		return name{}, ""
	}
	if rest[0] != '/' {
		return name{}, `does not begin with "/"`
	}
	trimmed, slash := strings.CutSuffix(rest[1:], "/")
	if trimmed == "" {
		if slash {
			return name{}, "has an empty segment"
		}
		return name{slash: true}, "" // rest is "/"
	}
	segments := strings.Split(trimmed, "/")
	for i, raw := range segments {
		segment, err := url.PathUnescape(raw)
		if err != nil {
			return name{}, `has a "%" that is not followed by two hexadecimal digits`
		}
		if i > 0 || segment != wellKnown {
			if wrong := vetSegment(segment); wrong != "" {
				return name{}, wrong
			}
		}
		segments[i] = segment
	}
	return name{path: strings.Join(segments, "/"), slash: slash}, ""
}

// vetSegment returns why a decoded segment is refused, or "". The rules are the
// same on every system, except for the names that only Windows gives a meaning.
func vetSegment(segment string) (wrong string) {
	first, _ := utf8.DecodeRuneInString(segment)
	switch {
	case segment == "":
		return "has an empty segment"
	case segment[0] == '.':
		return `has a segment that begins with "."`
	case strings.ContainsAny(segment, "/\\\x00"):
		return "has a separator or a NUL within a segment"
	case unicode.Is(unicode.Cf, first):
		// HFS+ ignores such characters: "\u200c.env" is ".env" there.
		return "has a segment that begins with an invisible character"
	case !filepath.IsLocal(segment):
		return "has a segment that is a device here" // NUL, COM1
	case runtime.GOOS == "windows" && aliased(segment):
		return "has a segment that is not a plain file name here"
	}
	return ""
}

// aliased reports what makes two names one file on Windows: an alternate data
// stream ("a::$DATA"), and dots and spaces at the end, which are dropped. Short
// names (ENV~1) are found when the name is resolved. It has not been tried on
// Windows.
func aliased(segment string) bool {
	return strings.Contains(segment, ":") || strings.TrimRight(segment, ". ") != segment
}
