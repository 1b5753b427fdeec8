package share

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Hit says why a request is hidden.
type Hit struct {
	Kind Kind
	// What says what is hidden: "Rails mail previews".
	What string
	// Show is the entry of `share { show = […] }` that opens it. Empty means
	// that nothing does.
	Show string
}

// Hidden reports whether every share without `show` hides path, whatever the
// project is: what hiddenRules lists, dot segments, any file outside or inside a
// project that is asked for by its place on the disk, and devproxy's own pages.
// A path is hidden in every spelling that some program reads so.
func Hidden(path string) bool {
	_, hidden := (&guard{}).look(path, "")
	return hidden
}

// Hides reports whether the share hides the request target, a path with or
// without a query, from its visitors, and why.
func (s *Share) Hides(target string) (Hit, bool) {
	path, query, _ := strings.Cut(target, "?")
	return s.guard.look(path, query)
}

// HidesSent is Hides for a target as a route sends it to its upstream. What
// `show` opens by a visitor's path is open by the rest of that path too.
func (s *Share) HidesSent(target string) (Hit, bool) {
	path, query, _ := strings.Cut(target, "?")
	sent := s.guard
	sent.sent = true
	return sent.look(path, query)
}

// Exists reports whether Options.Paths leave path, percent-encoded as it came,
// in the share.
func (s *Share) Exists(path string) bool { return s.paths == nil || s.paths.match(path) }

// HiddenTarget is Hides without the reason.
func (s *Share) HiddenTarget(target string) bool {
	_, hidden := s.Hides(target)
	return hidden
}

// guard looks for what a share hides. The zero value has no project and shows
// nothing.
type guard struct {
	root   []string // the segments of the project's folder
	folded readings // root, folded
	shown  shown
	sent   bool // the paths are those that routes send
}

func newGuard(root string, show []string) guard {
	g := guard{root: split(root), shown: newShown(show)}
	if folded, ok := foldPath(root); ok {
		g.folded = read(folded)
	}
	return g
}

// readings are the segments of a folded path as programs take them that know
// nothing which ends a name early, cut names there, or take it for a separator.
// A name that begins with a dot does so in the second if it does in the first.
type readings [3][]string

func read(folded string) readings {
	raw := split(folded) // with the controls that end names
	return readings{appendSegments(nil, folded), cutNames(raw), pieces(raw)}
}

// look reads path twice: by its letters, in which places on the disk are
// compared, and folded, in which names are.
func (g *guard) look(path, query string) (Hit, bool) {
	plain, folded, ordinary := path, "", isPlain(path)
	if ordinary {
		folded = strings.ToLower(path)
	} else {
		var ok bool
		plain = unescape(path)
		if folded, ok = foldPath(path); !ok {
			return Hit{Kind: Secrets, What: whatEncoding}, true
		}
	}
	if strings.Contains(folded, "@") && (g.outside(plain, g.root) || g.outside(folded, g.folded[0])) {
		return Hit{Kind: Secrets, What: whatOutside}, true
	}
	var room [24]string // most paths have fewer segments, and so need no memory
	several := readings{appendSegments(room[:0], folded)}
	if !ordinary {
		several = read(folded)
		if !climbsOpenly(path) && slices.ContainsFunc(slices.Concat(several[:]...), isUp) {
			return Hit{Kind: Secrets, What: whatWay}, true
		}
	}
	for i, segments := range several {
		if hit, hidden := g.segments(segments, g.folded[i]); hidden {
			return hit, true
		}
	}
	if !ordinary {
		if _, encoded, found := strings.Cut(folded, "?"); found {
			query = encoded + "&" + query
		}
	}
	if hit, hidden := g.text(folded); hidden || query == "" {
		return hit, hidden
	}
	return g.query(query, &several, strings.Contains(folded, "@fs"))
}

// isPlain reports that path holds only characters that every program reads
// alike, and no escape.
func isPlain(path string) bool {
	for i := range len(path) {
		if !plainBytes[path[i]] {
			return false
		}
	}
	return true
}

// plainBytes are the printable ASCII characters but those that are escapes or
// separators to some program.
var plainBytes = func() (plain [256]bool) {
	for c := byte('!'); c <= '~'; c++ {
		plain[c] = !strings.ContainsRune(`%\;:?#`, rune(c))
	}
	return plain
}()

// split cuts path into its segments; empty ones do not count.
func split(path string) []string { return strings.FieldsFunc(path, isSeparator) }

func isSeparator(r rune) bool { return r == '/' || r == '\\' }

// appendSegments appends the segments of a folded path without what file
// systems ignore in them. Those that are "." in the end are left out.
func appendSegments(segments []string, path string) []string {
	for path != "" {
		end := 0
		for end < len(path) && path[end] != '/' && path[end] != '\\' {
			end++
		}
		segment, rest := path[:end], ""
		if end < len(path) {
			rest = path[end+1:]
		}
		if segment = visible(segment); segment != "" {
			segments = append(segments, segment)
		}
		path = rest
	}
	return segments
}

// endsName reports characters at which some program ends a name early:
// parameters, a NUL, a query or fragment that was encoded, or what Windows
// takes for a stream of the file.
func endsName(r rune) bool {
	return r == ';' || r == ':' || r == '?' || r == '#' || unicode.IsControl(r)
}

// cutNames are raw segments up to where a name ends early.
func cutNames(segments []string) []string {
	var result []string
	for _, segment := range segments {
		if end := strings.IndexFunc(segment, endsName); end >= 0 {
			segment = segment[:end]
		}
		if segment = visible(segment); segment != "" {
			result = append(result, segment)
		}
	}
	return result
}

// pieces are raw segments cut at every place where a name may end.
func pieces(segments []string) []string {
	var result []string
	for _, segment := range segments {
		for piece := range strings.FieldsFuncSeq(segment, endsName) {
			if piece = visible(piece); piece != "" {
				result = append(result, piece)
			}
		}
	}
	return result
}

// text looks for the texts that hide what holds them.
func (g *guard) text(folded string) (Hit, bool) {
	for _, t := range compiled().texts {
		if strings.Contains(folded, t.text) && !g.shown.texts[t.show] {
			return t.hit(), true
		}
	}
	return Hit{}, false
}

// segments looks through one reading of a path, and root is the project's
// folder in the same reading.
func (g *guard) segments(segments, root []string) (Hit, bool) {
	for i := 0; i < len(segments); i++ {
		if hasPrefix(segments[i:], root) {
			i += len(root) // what the project's own folder is called is no secret
			if i >= len(segments) {
				break
			}
		}
		if hit, hidden := g.segment(segments, i); hidden {
			return hit, true
		}
	}
	return Hit{}, false
}

// segment looks at segments[at] alone and as the beginning of a path.
func (g *guard) segment(segments []string, at int) (Hit, bool) {
	name := segments[at]
	if name == ".well-known" && at+1 < len(segments) && segments[at+1] == "devproxy" {
		return Hit{Kind: Tools, What: whatOwn}, true
	}
	if name[0] == '.' && !isUp(name) && !served(segments, at) && !g.shown.name(name, segments, at, g.sent) && !strings.ContainsFunc(name, endsName) {
		return Hit{Kind: Secrets, What: whatDot, Show: name}, true
	}
	if hit, hidden := g.name(segments, at); hidden {
		return hit, true
	}
	c := compiled()
	lists := [3][]*pattern{c.paths[name], c.wild[name[0]]}
	if base, _, ending := strings.Cut(name, "."); ending {
		lists[2] = c.paths[base]
	}
	for _, list := range lists {
		for _, p := range list {
			if end, ok := p.match(segments, at); ok && p.rule.fileIn == nil && !g.shown.pattern(p, segments, end, g.sent) {
				return p.hit(), true
			}
		}
	}
	return Hit{}, false
}

// name looks at segments[at] as the name of a file.
func (g *guard) name(segments []string, at int) (Hit, bool) {
	c, name := compiled(), segments[at]
	hides := func(p *pattern) bool {
		return p != nil && !g.shown.pattern(p, segments, at+1, g.sent) && !g.shown.name(name, segments, at, g.sent)
	}
	if p := c.names[name]; hides(p) {
		return p.hit(), true
	}
	special, procedure := false, isProcedure(segments, at)
	for i := range len(name) {
		switch name[i] {
		case '.':
			if p := c.endings[name[i:]]; !procedure && hides(p) {
				return p.hit(), true
			}
		case '~':
			special = true
		}
	}
	// The public half of a key is no secret, and "~" is no copy of a file.
	open := name == "~" || strings.HasSuffix(name, ".pub")
	for _, list := range [2][]*pattern{c.begin[name[0]], c.end[name[len(name)-1]]} {
		for _, p := range list {
			if !open && glob(p.show, name) && hides(p) {
				return p.hit(), true
			}
		}
	}
	if special && isShortName(name) && !g.shown.name(name, segments, at, g.sent) {
		return Hit{Kind: Secrets, What: whatShort, Show: name}, true
	}
	return Hit{}, false
}

// isProcedure reports whether segments[at] is the name of a procedure of tRPC,
// such as "user.key" or "post.backup", where its adapters put them: nothing
// below is a file.
func isProcedure(segments []string, at int) bool {
	return at == len(segments)-1 && (at == 1 && segments[0] == "trpc" || at == 2 && segments[0] == "api" && segments[1] == "trpc")
}

func (p *pattern) hit() Hit { return Hit{Kind: p.rule.Kind, What: p.rule.What, Show: p.show} }

// served reports whether segments[at], which begins with a dot, is one of those
// that dev servers serve.
func served(segments []string, at int) bool {
	if servedDots[segments[at]] || at > 0 && servedBelow[segments[at-1]][segments[at]] {
		return true
	}
	return at+1 < len(segments) && servedPaths[segments[at]+"/"+segments[at+1]]
}

// visible is name without what file systems ignore in it: characters nobody
// sees, bytes that are no text, and on Windows dots and spaces at the end.
// What is only dots, and is a way up, stays.
func visible(name string) string {
	if !isPlain(name) {
		name = strings.Map(func(r rune) rune {
			if unseen(r) {
				return -1
			}
			return r
		}, name)
		name = strings.TrimLeftFunc(name, unicode.IsSpace)
	}
	trimmed := strings.TrimRightFunc(name, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	if trimmed == "" && strings.Count(name, ".") > 1 {
		return ".."
	}
	return trimmed
}

// isUp reports the way to a folder above.
func isUp(name string) bool { return name == ".." }

// climbsOpenly reports whether path has ".." as a segment when it is decoded
// once: package plan refuses it then, and nobody is misled.
func climbsOpenly(path string) bool {
	once, err := url.PathUnescape(path)
	return err == nil && slices.ContainsFunc(split(once), isUp)
}

// unseen are control characters, what Unicode has no glyph for, and bytes that
// are no text.
func unseen(r rune) bool {
	return r == unicode.ReplacementChar ||
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// hasPrefix reports whether segments begin with prefix.
func hasPrefix(segments, prefix []string) bool {
	if len(segments) < len(prefix) {
		return false
	}
	for i, segment := range prefix {
		if segments[i] != segment {
			return false
		}
	}
	return true
}
