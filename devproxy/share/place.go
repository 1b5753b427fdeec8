package share

import "strings"

// outside reports whether path asks for a file by its place on the disk, and
// the place is not in root: "/@fs/PLACE", or "/@id/" and an absolute path, as
// Vite writes them.
func (g *guard) outside(path string, root []string) bool {
	path = strings.ReplaceAll(path, `\`, "/")
	segments := split(path)
	for i := 0; i < len(segments); i++ {
		if strings.EqualFold(visible(segments[i]), "@fs") {
			if !inside(segments[i+1:], root) {
				return true
			}
			i += len(root)
		}
	}
	return hiddenID(path, root)
}

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
