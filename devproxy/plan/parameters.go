package plan

import (
	"slices"
	"strings"
)

// guarded reports whether only some may ask r.
func (r *Route) guarded() bool {
	return r != nil && len(r.Users)+len(r.Access.Allow)+len(r.Access.Deny) > 0
}

// hides reports whether path is a spelling of a guarded route of h that is not
// route, to an upstream that cuts parameters off: servlet containers take
// "/admin;x" and "/a/..;/admin" for "/admin" (RFC 3986 section 3.3 leaves ";" to
// them). Where nothing is guarded a ";" is a character like others.
func (h *Host) hides(path string, r *Request, route *Route) bool {
	bare, cut := withoutParameters(path)
	if !cut {
		return false
	}
	if _, wrong := vetPath(bare); wrong != "" {
		return slices.ContainsFunc(h.Routes, (*Route).guarded)
	}
	other := h.tree.find(decodedSegments(bare), r)
	return other != route && other.guarded()
}

// withoutParameters is path with what follows a ";" in each segment cut off, in
// both of its spellings.
func withoutParameters(path string) (bare string, cut bool) {
	if !strings.Contains(path, ";") && !strings.Contains(path, "%3B") && !strings.Contains(path, "%3b") {
		return path, false
	}
	var b strings.Builder
	for rest := path; rest != ""; {
		separator := separator(rest, true)
		var segment string
		b.WriteString(rest[:separator])
		segment, rest = cutSegment(rest, true)
		if i := strings.Index(strings.ReplaceAll(strings.ReplaceAll(segment, "%3B", ";  "), "%3b", ";  "), ";"); i >= 0 {
			segment = segment[:i]
		}
		b.WriteString(segment)
	}
	return b.String(), true
}
