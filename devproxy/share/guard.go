package share

import (
	"strings"
	"unicode"
)

// Hidden reports whether no share shows path, whatever the project is: a
// segment ".git" or one that begins with ".env" at any depth, any file outside
// or inside a project that is asked for by its place on the disk, the dev
// server's editor opener, and devproxy's own pages. A path is hidden in every
// spelling that some program reads so.
func Hidden(path string) bool { return hiddenPath(path, nil) }

// HiddenTarget reports whether the request target, a path with or without a
// query, leads to what the share hides: as Hidden, but for files inside
// Options.Root. The query counts for nothing.
func (s *Share) HiddenTarget(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	return hiddenPath(path, s.root)
}

// hiddenPath reads path twice: by its letters, in which a place on the disk is
// compared, and folded, in which names are. root are the segments of the
// project's folder.
func hiddenPath(path string, root []string) bool {
	plain, ok := settle(path, unescape)
	if !ok || hiddenIn(plain, root) {
		return true
	}
	folded, ok := settle(path, func(s string) string { return fold(unescape(s)) })
	return !ok || hiddenIn(folded, each(root, fold))
}

// hiddenIn looks through one reading of a path.
func hiddenIn(path string, root []string) bool {
	path = strings.ReplaceAll(path, `\`, "/")
	segments := split(path)
	for i := 0; i < len(segments); i++ {
		switch {
		case hiddenSegment(segments[i]):
			return true
		case isOwn(segments[i:]):
			return true
		case strings.EqualFold(visible(segments[i]), "@fs"):
			if !inside(segments[i+1:], root) {
				return true
			}
			i += len(root) // what the project's own folder is called is no secret
		}
	}
	return hiddenID(path, root)
}

// split cuts path into its segments; empty ones do not count.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' })
}

// isOwn reports that segments begin as the paths of devproxy's own pages.
func isOwn(segments []string) bool {
	return len(segments) > 1 && visible(segments[0]) == ".well-known" && visible(segments[1]) == "devproxy"
}

// hiddenSegment looks at the whole segment, and at the pieces that it falls
// into where a program ends a name early: at parameters, a NUL, a query that
// was encoded, or what Windows takes for a stream of the file.
func hiddenSegment(segment string) bool {
	if hiddenName(segment) {
		return true
	}
	for piece := range strings.FieldsFuncSeq(segment, endsName) {
		if hiddenName(piece) {
			return true
		}
	}
	return false
}

func endsName(r rune) bool { return strings.ContainsRune(";:?#", r) || unicode.IsControl(r) }

func hiddenName(name string) bool {
	name = visible(name)
	return name == ".git" || strings.HasPrefix(name, ".env") || name == "__open-in-editor" ||
		strings.ContainsRune(name, '~') && shortName().MatchString(name)
}

// visible is name without what file systems ignore in it: characters nobody
// sees, bytes that are no text, and on Windows dots and spaces at the end.
func visible(name string) string {
	name = strings.Map(func(r rune) rune {
		if unseen(r) {
			return -1
		}
		return r
	}, name)
	return strings.TrimRightFunc(strings.TrimLeftFunc(name, unicode.IsSpace), func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
}

func unseen(r rune) bool {
	if r < 0x80 {
		return r < ' ' || r == 0x7f
	}
	return r == unicode.ReplacementChar ||
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// each is f of every value.
func each(values []string, f func(string) string) []string {
	result := make([]string, len(values))
	for i, value := range values {
		result[i] = f(value)
	}
	return result
}
