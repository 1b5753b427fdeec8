package plan

import "strings"

// cutter cuts a path that vetPath has let pass into its segments, in one of
// two readings. Upstreams differ in how they read "%2F" and "//"; a request is
// only forwarded when both readings lead to the same route.
type cutter struct {
	rest string // begins with a separator, or is empty at the end
	// decoded cuts at %2F too and drops empty segments.
	decoded bool
}

// rawSegments cuts at "/" alone: "/a//b%2Fc/" is "a", "", "b%2Fc" and "".
// "/" has no segments.
func rawSegments(path string) cutter {
	if path == "/" {
		path = ""
	}
	return cutter{rest: path}
}

// decodedSegments cuts at "%2F" too and drops empty segments: "/a//b%2Fc/" is
// "a", "b" and "c".
func decodedSegments(path string) cutter {
	return cutter{rest: path, decoded: true}
}

// next is the next segment, still percent-encoded.
func (c *cutter) next() (segment string, ok bool) {
	for c.rest != "" {
		segment, c.rest = cutSegment(c.rest, c.decoded)
		if segment != "" || !c.decoded {
			return segment, true
		}
	}
	return "", false
}

// cutSegment takes the separator that s begins with and the segment after it.
func cutSegment(s string, decoded bool) (segment, rest string) {
	s = s[separator(s, decoded):]
	if !decoded {
		if i := strings.IndexByte(s, '/'); i >= 0 {
			return s[:i], s[i:]
		}
		return s, ""
	}
	for i := range len(s) {
		if separator(s[i:], decoded) > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// separator is the length of the separator that s begins with; 0 means none.
func separator(s string, decoded bool) int {
	switch {
	case s != "" && s[0] == '/':
		return 1
	case decoded && len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'f':
		return 3
	}
	return 0
}

// vetPath refuses what no two programs read alike: it returns what is wrong
// with path, empty when nothing is. plain reports that both readings of path
// are the same: it has no %2F and no empty segment.
//
// A dot segment of the raw reading has no %2F in it and so is one of the
// decoded reading too; only that one is looked through.
func vetPath(path string) (plain bool, wrong string) {
	if path == "" || path[0] != '/' {
		return false, `does not begin with "/"`
	}
	plain = true
	length, dots := 0, 0 // of this segment so far: bytes, and how many are dots
	for i := 0; i < len(path); {
		c, size := path[i], 1
		if c == '%' {
			var ok bool
			if c, ok = unhex(path[i:]); !ok {
				return false, `has a "%" that two hexadecimal digits do not follow`
			}
			size = 3
		}
		switch c {
		case '\\':
			return false, "has a backslash in it"
		case 0:
			return false, "has a NUL in it"
		case '/':
			if isDots(length, dots) {
				return false, wrongDots
			}
			plain = plain && size == 1 && (length > 0 || i == 0)
			length, dots = 0, 0
		case '.':
			length, dots = length+1, dots+1
		default:
			length++
		}
		i += size
	}
	if isDots(length, dots) {
		return false, wrongDots
	}
	return plain && (length > 0 || path == "/"), ""
}

const wrongDots = `has a "." or ".." segment`

func isDots(length, dots int) bool {
	return dots == length && (dots == 1 || dots == 2)
}

// unhex is the byte that the percent escape at the beginning of s stands for
// (RFC 3986 section 2.1).
func unhex(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, low := hexValue(s[1]), hexValue(s[2])
	return high<<4 | low, high < 16 && low < 16
}

// hexValue is 16 for what is no hexadecimal digit.
func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// decodeInto appends segment with its escapes decoded to buf, and gives up
// once the result is longer than limit.
func decodeInto(buf []byte, segment string, limit int) (decoded []byte, ok bool) {
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' {
			c, _ = unhex(segment[i:])
			i += 2
		}
		if len(buf) == limit {
			return nil, false
		}
		buf = append(buf, c)
	}
	return buf, true
}
