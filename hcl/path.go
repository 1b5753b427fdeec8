package hcl

import (
	"cmp"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

var (
	pathEscape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	// pattern matches a regular expression, or a location of nginx with its
	// modifier, that can't be the path of a request.
	pattern = regexp.MustCompile(`^(?:~\*?|=|\^~)[ \t]|^~|^\^|^\*|(?:^|[/()|\]])\.\*|\.\*[$()|]|\.\+|\(\?|\[\^|\\[dwsDWS./]|[^/]\$$|\([^()/]*\|[^()/]*\)`)
)

// routePath is path for a route. With exact, the path may end with "/": "/docs/"
// and "/docs" are different paths then.
func (p place) routePath(text string, exact bool) (clean string, ok bool) {
	before, slash := strings.CutSuffix(text, "/")
	if !slash || !exact || before == "" || strings.HasSuffix(before, "/") {
		return p.path(text)
	}
	before, ok = p.path(before)
	return before + "/", ok
}

// path checks a path prefix. It is written decoded: "/café" and not "/caf%C3%A9".
func (p place) path(text string) (clean string, ok bool) {
	fixed := path.Clean("/" + text)
	plain, _, query := strings.Cut(text, "?")
	plain, _, fragment := strings.Cut(plain, "#")
	stars := suggest(pathPrefix(text)) + ": it matches everything below too"
	if strings.Contains(strings.TrimRight(text, "*/"), "*") {
		stars = `write one "*" for each segment`
	}
	good := p.passes(
		when(strings.Contains(text, "://"), `write "/PATH"; the host name goes in host "NAME"`, "a route needs a path, not a URL"),
	) && p.isNoPattern(text) && p.passes(
		when(!strings.HasPrefix(text, "/"), suggest("/"+text), `a path must begin with "/"`),
		when(fragment, suggest(plain), "a path can't have a fragment, which browsers do not send"),
		when(query, suggest(plain)+" and match = { query = { … } }", "a path can't have a query"),
		when(strings.Contains(text, "**"), stars, `a "*" in a path matches only within one segment`),
		when(pathEscape.MatchString(text), "write the character itself: "+unescaped(text), "a path must be written without %% escapes"),
		when(strings.Contains(text, `\`), suggest(strings.ReplaceAll(text, `\`, "/")), `a path can't contain "\"`),
		when(strings.ContainsFunc(text, unicode.IsControl), "remove it", "a path can't contain control characters"),
		when(fixed != "/" && fixed+"/" == text, suggest(fixed)+`: it matches "`+fixed+`/" too; for "`+fixed+`/" alone, add exact = true`, `a path must not end with "/"`),
		when(path.Clean(text) != text, suggest(fixed), `a path can't have an empty, "." or ".." segment`),
	)
	if !good {
		return "", false
	}
	return text, true
}

// isNoPattern reports a path that is a regular expression.
func (p place) isNoPattern(text string) bool {
	prefix := pathPrefix(text)
	advice := suggest(prefix) + ": it matches everything below too"
	if prefix == "" || prefix == "/" && strings.Contains(text, "|") {
		advice = "write one route for each path"
	}
	isPattern := pattern.MatchString(text)
	return p.passes(
		when(isPattern && strings.HasPrefix(text, "= "), suggest(prefix)+"; for this path alone, add exact = true", "a path can't have a modifier"),
		when(isPattern, advice, "a path must be a prefix, not a pattern"),
	)
}

// unescaped returns text without % escapes, in quotes.
func unescaped(text string) string {
	return strconv.Quote(pathEscape.ReplaceAllStringFunc(text, func(escape string) string {
		plain, _ := url.PathUnescape(escape)
		return plain
	}))
}

var (
	nginxModifier = regexp.MustCompile(`^(?:=|\^~|~\*?)[ \t]*`)
	pathStop      = regexp.MustCompile(`[\\^$|?*+()\[\]{}:<]|\.[*+?]`)
)

// pathPrefix returns the longest plain prefix, on segment boundaries, of a pattern
// of another tool: "/api" of "^/api/(.*)", "/users" of "/users/:id". It is "/" if
// the pattern has none, and "" if it is not a pattern of paths.
func pathPrefix(pattern string) string {
	pattern = nginxModifier.ReplaceAllString(strings.TrimSpace(pattern), "")
	pattern = strings.TrimPrefix(strings.TrimPrefix(pattern, "^"), `\A`)
	pattern = strings.NewReplacer(`\/`, "/", `\.`, ".").Replace(pattern)
	if !strings.HasPrefix(pattern, "/") {
		if strings.HasPrefix(pattern, "*") || strings.HasPrefix(pattern, ".*") || strings.HasPrefix(pattern, "(.*)") {
			return "/"
		}
		return ""
	}
	if m := pathStop.FindStringIndex(pattern); m != nil {
		plain, rest := pattern[:m[0]], strings.TrimLeft(pattern[m[0]:], "*$")
		if rest != "" || strings.HasSuffix(plain, "/") {
			plain = plain[:strings.LastIndexByte(plain, '/')+1]
		}
		pattern = plain
	}
	return cmp.Or(strings.TrimSuffix(pattern, "/"), "/")
}

// within reports whether path is prefix or below it.
func within(path, prefix string) bool {
	return prefix == "/" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// Overlap reports whether some path matches both a and b, which are paths as in
// Route.Path, and returns the shortest one. If one of them has fewer segments,
// only as many segments of the other are compared.
func Overlap(a, b string) (example string, ok bool) {
	first, second := pathSegments(a), pathSegments(b)
	if len(first) < len(second) {
		first, second = second, first
	}
	for i, segment := range first {
		if i < len(second) {
			if segment, ok = overlapSegments(segment, second[i]); !ok {
				return "", false
			}
		}
		text := strings.ReplaceAll(segment, "*", "")
		if segment != "" {
			text = cmp.Or(text, "x")
		}
		example += "/" + text
	}
	return cmp.Or(example, "/"), true
}

func pathSegments(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

// overlapSegments returns a segment that both patterns match. A star in it may be
// empty.
func overlapSegments(a, b string) (both string, ok bool) {
	switch {
	case a == "" || b == "": // the end of a path after its last "/"
		return "", a == b
	case !strings.Contains(a, "*"):
		return a, matchSegment(b, a)
	case !strings.Contains(b, "*"):
		return b, matchSegment(a, b)
	}
	// Only the ends can contradict each other: the text between two stars of
	// one pattern fits into a star of the other.
	before, between, after := cutStars(a)
	otherBefore, otherBetween, otherAfter := cutStars(b)
	if len(before) < len(otherBefore) {
		before, otherBefore = otherBefore, before
	}
	if len(after) < len(otherAfter) {
		after, otherAfter = otherAfter, after
	}
	return before + between + otherBetween + after, strings.HasPrefix(before, otherBefore) && strings.HasSuffix(after, otherAfter)
}

// cutStars returns a pattern up to its first star, from there to its last star,
// and after that.
func cutStars(pattern string) (before, between, after string) {
	first, last := strings.IndexByte(pattern, '*'), strings.LastIndexByte(pattern, '*')
	return pattern[:first], pattern[first : last+1], pattern[last+1:]
}

// matchSegment reports whether pattern, in which "*" is any run of characters,
// matches all of segment.
func matchSegment(pattern, segment string) bool {
	before, rest, star := strings.Cut(pattern, "*")
	segment, ok := strings.CutPrefix(segment, before)
	for star && ok {
		var literal string
		literal, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(segment, literal)
		}
		_, segment, ok = strings.Cut(segment, literal)
	}
	return ok && segment == ""
}
