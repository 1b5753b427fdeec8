package share

import (
	"net/url"
	"slices"
	"strings"
)

// Hit says why a request is hidden.
type Hit struct {
	Kind Kind
	// What the guard hid: "Rails mail previews".
	What string
	// Show is the entry of `share { show = […] }` that opens it; empty for none.
	Show string
}

// Hides reports whether the share hides the request target, a path with or without a
// query, from its visitors, and why.
func (s *Share) Hides(target string) (Hit, bool) {
	path, query, _ := strings.Cut(target, "?")
	return s.guard.look(path, query)
}

// HidesSent is Hides for a target as a route sends it to its upstream. If `show` opens
// a visitor's path, it opens the rest of that path too.
func (s *Share) HidesSent(target string) (Hit, bool) {
	path, query, _ := strings.Cut(target, "?")
	sent := s.guard
	sent.sent = true
	return sent.look(path, query)
}

// Exists reports whether Options.Paths leave path, percent-encoded as it came, in the
// share.
func (s *Share) Exists(path string) bool { return len(s.paths) == 0 || s.paths.match(path) }

// guard finds the requests that a share hides: those that hiddenRules lists,
// dot segments, any file outside or inside a project that is requested by its
// place on the disk, and devproxy's own pages. It hides a path in every
// spelling that some program reads that way. The zero value has no project and
// shows nothing.
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

// look reads path twice: unescaped, to compare places on the disk, and folded, to
// compare names.
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
	if strings.Contains(folded, "@") && (outside(plain, g.root) || outside(folded, g.folded[0])) {
		return Hit{Kind: Secrets, What: whatOutside}, true
	}
	var room [24]string // most paths have fewer segments, and need no memory
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

// text looks for the texts of rules.
func (g *guard) text(folded string) (Hit, bool) {
	for _, t := range compiled().texts {
		if strings.Contains(folded, t.text) && !g.shown.texts[t.show] {
			return t.hit(), true
		}
	}
	return Hit{}, false
}

// segments checks one reading of a path. root is the project's folder in the same
// reading.
func (g *guard) segments(segments, root []string) (Hit, bool) {
	for i := 0; i < len(segments); i++ {
		if hasPrefix(segments[i:], root) {
			i += len(root) // the name of the project's own folder is not secret
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

// segment checks segments[at] alone and as the beginning of a path.
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

// name checks segments[at] as the name of a file.
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
	// The public half of a key is not secret, and "~" is not a copy of a file.
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

// isProcedure reports whether segments[at] is the name of a tRPC procedure, such as
// "user.key" or "post.backup", where its adapters put them: nothing below is a file.
func isProcedure(segments []string, at int) bool {
	return at == len(segments)-1 && (at == 1 && segments[0] == "trpc" || at == 2 && segments[0] == "api" && segments[1] == "trpc")
}

// served reports whether dev servers serve segments[at], which begins with a dot.
func served(segments []string, at int) bool {
	if servedDots[segments[at]] || at > 0 && servedBelow[segments[at-1]][segments[at]] {
		return true
	}
	return at+1 < len(segments) && servedPaths[segments[at]+"/"+segments[at+1]]
}

// climbsOpenly reports whether path has ".." as a segment when it is decoded once:
// package plan refuses it then, and misleads no program.
func climbsOpenly(path string) bool {
	once, err := url.PathUnescape(path)
	return err == nil && slices.ContainsFunc(split(once), isUp)
}

// hasPrefix reports whether segments begin with prefix.
func hasPrefix(segments, prefix []string) bool {
	return len(segments) >= len(prefix) && slices.Equal(segments[:len(prefix)], prefix)
}

// outside reports whether path requests a file by its place on the disk, and the place
// is not in root: "/@fs/PLACE", or "/@id/" and an absolute path, as Vite writes them. A
// visitor may repeat them, so each place is read only as far as root is long, and a way
// up is searched for only once.
func outside(path string, root []string) bool {
	path = strings.ReplaceAll(path, `\`, "/")
	segments, onDisk := split(path), false
	for i := 0; i < len(segments); i++ {
		switch {
		case onDisk && leadsUp(segments[i]):
			return true
		case strings.EqualFold(visible(segments[i]), "@fs"):
			if !inside(segments[i+1:], root) {
				return true
			}
			onDisk = true
			i += len(root)
		}
	}
	return hiddenID(path, root)
}

// inside reports whether the segments of a path begin with root. A root without
// segments contains nothing.
func inside(segments, root []string) bool {
	if len(root) > 0 && strings.HasSuffix(root[0], ":") {
		return begin(segments, root, strings.EqualFold) // Windows: "C:" or "c:", depending on the program
	}
	return len(root) > 0 && hasPrefix(segments, root)
}

// leadsUp reports whether some program reads segment as the folder above.
func leadsUp(segment string) bool { return strings.HasPrefix(segment, "..") }

// hiddenID reports whether path requests a module by its place on the disk, as dev
// servers write it: "/@id/" and an absolute path, with "__x00__" before it if a plugin
// made it. Other ids name packages and virtual modules.
func hiddenID(path string, root []string) bool {
	const prefix = "/@id/"
	folded, up, searched := lower(path), strings.Contains(path, ".."), false
	for {
		i := strings.Index(folded, prefix)
		if i < 0 {
			return false
		}
		path, folded = path[i+len(prefix):], folded[i+len(prefix):]
		place, absolute := absoluteID(path)
		switch {
		case !absolute:
			if up && strings.Contains(place, "..") {
				return true
			}
		case !inside(firstSegments(place, len(root)), root), up && !searched && slices.ContainsFunc(split(place), leadsUp):
			return true
		default:
			searched = true // the rest too
		}
	}
}

// firstSegments returns the first n segments of path, or all when it has fewer.
func firstSegments(path string, n int) []string {
	var segments []string
	for segment := range strings.FieldsFuncSeq(path, isSeparator) {
		if segments = append(segments, segment); len(segments) == n {
			break
		}
	}
	return segments
}

// absoluteID returns the place on the disk that a module id names.
func absoluteID(id string) (place string, absolute bool) {
	place = strings.TrimLeft(strings.TrimPrefix(id, "__x00__"), "\x00")
	if after, ok := strings.CutPrefix(place, "file:"); ok {
		return after, true
	}
	drive := len(place) > 1 && place[1] == ':' && 'a' <= place[0]|0x20 && place[0]|0x20 <= 'z'
	return place, drive || strings.HasPrefix(place, "/")
}
