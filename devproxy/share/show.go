package share

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
)

// shown is the value of `share { show = […] }`. The zero value opens nothing.
type shown struct {
	texts map[string]bool // patterns of rules and names of files, folded
	paths [][]string      // folded; a hit must be within one of them
}

func newShown(entries []string) shown {
	s := shown{texts: map[string]bool{}}
	for _, entry := range entries {
		if isPath(entry) && !compiled().shows[foldShow(entry)] {
			s.paths = append(s.paths, appendSegments(nil, foldShow(entry)))
			continue
		}
		s.texts[foldShow(entry)] = true
	}
	return s
}

func isPath(entry string) bool { return strings.HasPrefix(entry, "/") }

// foldShow returns an entry in the spelling of the rules.
func foldShow(entry string) string {
	if folded, ok := foldPath(entry); ok {
		return folded
	}
	return entry
}

// name reports whether segments[at], the name of a file, is open.
func (s *shown) name(name string, segments []string, at int, sent bool) bool {
	return s.texts[name] || s.within(segments, at+1, sent)
}

// pattern reports whether p, which ends before segments[end], is open: by its own text,
// by another path of its rule for the same segments ("/actuator/*" and "/actuator/env"),
// or by a path of the project.
func (s *shown) pattern(p *pattern, segments []string, end int, sent bool) bool {
	return s.texts[p.show] || s.covers(p.rule, segments[end-len(p.segments):end]) || s.within(segments, end, sent)
}

// covers reports whether an open path of rule matches segments.
func (s *shown) covers(rule *Rule, segments []string) bool {
	return slices.ContainsFunc(rule.paths, func(path string) bool {
		text := strings.TrimPrefix(path, "**")
		return s.texts[text] && slices.EqualFunc(split(text), segments, glob)
	})
}

// within reports whether the part before segments[end] is in an open path. A path that
// a route sends may lack the beginning of the visitor's path.
func (s *shown) within(segments []string, end int, sent bool) bool {
	for _, path := range s.paths {
		for end <= len(path) {
			if hasPrefix(segments, path) {
				return true
			}
			if !sent {
				break
			}
			path = path[1:]
		}
	}
	return false
}

// CheckShow reports whether an entry of `share { show = […] }` opens something: a text
// of the rules, or a path or file name that they hide. If it does not, near is the
// closest text of the rules; empty when none is close.
func CheckShow(entry string) (near string, ok bool) {
	folded := foldShow(entry)
	if compiled().shows[folded] {
		return "", true
	}
	var hit Hit
	switch {
	case strings.HasPrefix(entry, "?"):
		hit, _ = (&guard{}).look("/", entry[1:])
	case isPath(entry):
		hit, _ = (&guard{}).look(entry, "")
	case !strings.ContainsAny(entry, `/\*`):
		hit, _ = (&guard{}).look("/"+entry, "")
	}
	if hit.Show != "" {
		return "", true
	}
	return nearest(folded), false
}

// Shows returns the texts of the rules that open something, sorted.
func Shows() []string { return slices.Sorted(maps.Keys(compiled().shows)) }

func checkShow(entries []string) error {
	for _, entry := range entries {
		near, ok := CheckShow(entry)
		switch {
		case ok:
		case near != "":
			return fmt.Errorf("%q in `share { show }` opens nothing: did you mean %q?", entry, near)
		default:
			return fmt.Errorf("%q in `share { show }` opens nothing: no share hides it", entry)
		}
	}
	return nil
}

// nearest returns the text of the rules that differs least from entry, in at most a
// third of its characters; empty for none.
func nearest(entry string) string {
	best, least := "", min(len(entry), maxEntry)/3+1
	for _, text := range Shows() {
		if d := edlib.LevenshteinDistance(entry[:min(len(entry), maxEntry)], text); d < least {
			best, least = text, d
		}
	}
	return best
}

// maxEntry bounds the text that nearest compares, in bytes.
const maxEntry = 100
