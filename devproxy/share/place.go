package share

import (
	"slices"
	"strings"
)

// outside reports whether path asks for a file by its place on the disk, and
// the place is not in root: "/@fs/PLACE", or "/@id/" and an absolute path, as
// Vite writes them. A visitor may repeat them, so each place is read only as
// far as root is long, and what leads up is looked for once.
func (g *guard) outside(path string, root []string) bool {
	path = strings.ReplaceAll(path, `\`, "/")
	segments, asked := split(path), false
	for i := 0; i < len(segments); i++ {
		switch {
		case asked && leadsUp(segments[i]):
			return true
		case strings.EqualFold(visible(segments[i]), "@fs"):
			if !inside(segments[i+1:], root) {
				return true
			}
			asked = true
			i += len(root)
		}
	}
	return hiddenID(path, root)
}

// inside reports whether the segments of a path begin with root. A root without
// segments holds nothing.
func inside(segments, root []string) bool {
	if len(root) == 0 || len(segments) < len(root) {
		return false
	}
	same := func(a, b string) bool { return a == b }
	if strings.HasSuffix(root[0], ":") {
		same = strings.EqualFold // Windows: "C:" or "c:", as a program likes it
	}
	return slices.EqualFunc(segments[:len(root)], root, same)
}

// leadsUp reports whether some program takes segment for a way to a folder above.
func leadsUp(segment string) bool { return strings.HasPrefix(segment, "..") }

// hiddenID reports whether path asks for a module by its place on the disk, as
// dev servers write it: "/@id/" and an absolute path, "__x00__" before it for
// one that a plugin made. Other ids name packages and virtual modules.
func hiddenID(path string, root []string) bool {
	const prefix = "/@id/"
	folded, up, asked := lower(path), strings.Contains(path, ".."), false
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
		case !inside(firstSegments(place, len(root)), root), up && !asked && slices.ContainsFunc(split(place), leadsUp):
			return true
		default:
			asked = true // what follows has been looked through
		}
	}
}

// firstSegments are the first n segments of path, or all when it has fewer.
func firstSegments(path string, n int) []string {
	var segments []string
	for segment := range strings.FieldsFuncSeq(path, isSeparator) {
		if segments = append(segments, segment); len(segments) == n {
			break
		}
	}
	return segments
}

// absoluteID is the place on the disk that a module id names.
func absoluteID(id string) (place string, absolute bool) {
	place = strings.TrimLeft(strings.TrimPrefix(id, "__x00__"), "\x00")
	if after, ok := strings.CutPrefix(place, "file:"); ok {
		return after, true
	}
	drive := len(place) > 1 && place[1] == ':' && 'a' <= place[0]|0x20 && place[0]|0x20 <= 'z'
	return place, drive || strings.HasPrefix(place, "/")
}
