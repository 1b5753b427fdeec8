package plan

import (
	"encoding/hex"
	"strings"
)

// separators are the bytes that separate segments in addition to "/". Upstreams
// differ in which they accept.
type separators struct {
	slash     bool // "%2F"
	backslash bool // `\` and "%5C"
}

// cutter cuts a path that vetPath accepts into its segments.
type cutter struct {
	rest string // begins with a separator, or is empty at the end
	separators
	// merge drops empty segments, so that "//" counts as "/". The empty segment
	// after a trailing separator stays, unless it is the only one.
	merge bool
	// untrailed drops the empty segment after a trailing separator too.
	untrailed bool

	begun bool // a segment has been returned
}

// cutPath cuts as devproxy itself does: at "/" only, and "//" counts as "/", as
// in nginx and Caddy. "/a//b%2Fc/" is "a", "b%2Fc" and "".
func cutPath(path string) cutter {
	return cutter{rest: path, merge: true}
}

// next returns the next segment, still percent-encoded.
func (c *cutter) next() (segment string, ok bool) {
	for c.rest != "" {
		segment, c.rest = cutSegment(c.rest, c.separators)
		last := c.rest == ""
		switch {
		case segment != "", !c.merge && (!last || !c.untrailed):
		case last && c.begun && !c.untrailed:
		default:
			continue
		}
		c.begun = true
		return segment, true
	}
	return "", false
}

// cutSegment cuts off the separator that s begins with and the segment after it.
func cutSegment(s string, by separators) (segment, rest string) {
	s = s[separator(s, by):]
	if by == (separators{}) {
		if i := strings.IndexByte(s, '/'); i >= 0 {
			return s[:i], s[i:]
		}
		return s, ""
	}
	for i := range len(s) {
		if separator(s[i:], by) > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// separator returns the length of the separator that s begins with; 0 means
// none.
func separator(s string, by separators) int {
	switch {
	case s == "":
		return 0
	case s[0] == '/', by.backslash && s[0] == '\\':
		return 1
	case s[0] != '%' || len(s) < 3:
		return 0
	case by.slash && s[1] == '2' && s[2]|0x20 == 'f', by.backslash && s[1] == '5' && s[2]|0x20 == 'c':
		return 3
	}
	return 0
}

// shape is what programs read differently in a path.
type shape struct {
	empty      bool // "//" or a trailing "/"
	slash      bool // "%2F"
	backslash  bool // `\` or "%5C"
	dots       bool // a "." or ".." segment, in some reading
	parameters bool // ";" or "%3B"
	cased      bool // a letter that folding changes, or a byte outside of ASCII
}

// vetPath returns the shape of path, and what makes it invalid: wrong is empty
// for a valid path.
func vetPath(path string) (s shape, wrong string) {
	if path == "" || path[0] != '/' {
		return s, `does not begin with "/"`
	}
	length, dots := 0, 0 // of this segment so far, in its shortest reading: bytes, and how many are dots
	raw := 0             // bytes of this segment, cut at "/" only
	for i := 0; i < len(path); {
		c, size := path[i], 1
		if c == '%' {
			var ok bool
			if c, ok = unhex(path[i:]); !ok {
				return s, `has a "%" that is not followed by two hexadecimal digits`
			}
			size = 3
		}
		raw++
		switch c {
		case 0:
			return s, "has a NUL in it"
		case '/', '\\':
			s.dots = s.dots || isDots(length, dots)
			length, dots = 0, 0
			switch {
			case c == '\\':
				s.backslash = true
			case size > 1:
				s.slash = true
			default:
				s.empty = s.empty || raw == 1 && i > 0
				raw = 0
			}
		case '.':
			length, dots = length+1, dots+1
		default:
			s.parameters = s.parameters || c == ';'
			s.cased = s.cased || isCased(c)
			length++
		}
		i += size
	}
	s.dots = s.dots || isDots(length, dots)
	s.empty = s.empty || raw == 0 && path != "/"
	return s, ""
}

func isDots(length, dots int) bool {
	return dots == length && (dots == 1 || dots == 2)
}

// withoutDots removes the dot segments of a path as RFC 3986 section 5.2.4 does,
// with its segments cut by c. The result has "/" for every separator. climbs
// reports a ".." with nothing above it.
func withoutDots(c cutter) (path string, climbs bool) {
	var kept []string
	trailing := false
	for {
		segment, ok := c.next()
		if !ok {
			break
		}
		var buf [2]byte
		decoded, short := decodeInto(buf[:0], segment, len(buf))
		trailing = true
		switch {
		case short && string(decoded) == ".":
		case short && string(decoded) == "..":
			climbs = climbs || len(kept) == 0
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept, trailing = append(kept, segment), false
		}
	}
	path = "/" + strings.Join(kept, "/")
	if trailing && len(kept) > 0 {
		path += "/"
	}
	return path, climbs
}

// withoutParameters returns path without ";" and the text after it in each
// segment. Servlet containers take "/admin;x" and "/a/..;/admin" for "/admin"
// (RFC 3986 section 3.3 leaves ";" to them).
func withoutParameters(path string, by separators) string {
	var b strings.Builder
	for rest := path; rest != ""; {
		n := separator(rest, by)
		b.WriteString(rest[:n])
		var segment string
		segment, rest = cutSegment(rest, by)
		for i := range len(segment) {
			if segment[i] == ';' || len(segment)-i >= 3 && segment[i] == '%' && segment[i+1] == '3' && segment[i+2]|0x20 == 'b' {
				segment = segment[:i]
				break
			}
		}
		b.WriteString(segment)
	}
	return b.String()
}

// unhex decodes the percent escape that s begins with (RFC 3986 section 2.1).
func unhex(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	var decoded [1]byte
	_, err := hex.Decode(decoded[:], []byte(s[1:3]))
	return decoded[0], err == nil
}

// decodeInto appends the decoded segment to buf. ok is false when more than
// limit bytes would be in it.
func decodeInto(buf []byte, segment string, limit int) (decoded []byte, ok bool) {
	for i := 0; i < len(segment); i++ {
		if len(buf) == limit {
			return buf, false
		}
		c := segment[i]
		if c == '%' {
			c, _ = unhex(segment[i:])
			i += 2
		}
		buf = append(buf, c)
	}
	return buf, true
}
