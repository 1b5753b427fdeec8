package share

import (
	"regexp"
	"strings"
	"sync"
)

// shortName is what Windows also calls ".git", ".env" and ".env.local": the
// first of a kind "GIT~1", later ones with a checksum "GI3F2A~1".
var shortName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(git|env|(gi|en)[0-9a-f]{4})~[0-9]+(\.[^.]*)?$`)
})

// inside reports whether the segments of a path lie in root, or are it. root
// nil holds nothing.
func inside(segments, root []string) bool {
	if len(root) == 0 || len(segments) < len(root) {
		return false
	}
	same := func(a, b string) bool { return a == b }
	if strings.HasSuffix(root[0], ":") {
		same = strings.EqualFold // Windows: "C:" or "c:", as a program likes it
	}
	for i, segment := range segments {
		if strings.HasPrefix(segment, "..") || i < len(root) && !same(segment, root[i]) {
			return false
		}
	}
	return true
}

// hiddenID reports whether path asks for a module by its place on the disk, as
// dev servers write it: "/@id/" and an absolute path, "__x00__" before it for
// one that a plugin made. Other ids name packages and virtual modules.
func hiddenID(path string, root []string) bool {
	for {
		_, id, found := cutFold(path, "/@id/")
		if !found {
			return false
		}
		if place, absolute := absoluteID(id); absolute && !inside(split(place), root) {
			return true
		}
		path = id
	}
}

// absoluteID is the place on the disk that a module id names.
func absoluteID(id string) (place string, absolute bool) {
	place = strings.TrimLeft(strings.TrimPrefix(id, "__x00__"), "\x00")
	if after, ok := strings.CutPrefix(place, "file:"); ok {
		return after, true
	}
	drive := len(place) > 1 && place[1] == ':' && 'a' <= place[0]|0x20 && place[0]|0x20 <= 'z'
	return place, drive || place != "" && place[0] == '/' || strings.Contains(place, "..")
}

// cutFold is strings.Cut for a separator in any case; sep is in lower case.
func cutFold(text, sep string) (before, after string, found bool) {
	for i := 0; i+len(sep) <= len(text); i++ {
		if strings.EqualFold(text[i:i+len(sep)], sep) {
			return text[:i], text[i+len(sep):], true
		}
	}
	return text, "", false
}
