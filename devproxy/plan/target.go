package plan

import "strings"

// restMark stands in a rewrite or a redirect for what follows the route's path.
const restMark = "{rest}"

// Target is the path to forward for the path that came, both percent-encoded:
// strip_prefix or rewrite applied, rawPath itself without them. What is kept of
// rawPath is kept byte for byte. A changed path begins with exactly one "/", so
// that nobody takes what follows for an authority (RFC 3986 section 3.3);
// rawPath itself may begin with several.
func (m Match) Target(rawPath string) string {
	switch {
	case m.Route.Rewrite != "":
		return oneSlash(expand(m.Route.Rewrite, m.Rest, inPath))
	case m.Route.StripPrefix:
		return oneSlash(m.Rest)
	}
	return rawPath
}

// FilesPath is what is looked up in the folder of a route with files,
// percent-encoded: what follows the route's path, and for a route of one path the
// path's own name, its last segment.
func (m Match) FilesPath() string {
	if m.Route.Exact {
		return m.Taken[strings.LastIndexByte(m.Taken, '/'):]
	}
	return m.Rest
}

// TryPath is what is looked up in the folder of try_files, percent-encoded.
func (m Match) TryPath() string {
	if m.Route.TryFiles.Whole {
		return m.Taken + m.Rest
	}
	return m.FilesPath()
}

// Prefix is the path that strip_prefix takes off, for X-Forwarded-Prefix: the
// route's path; where that has stars, what it matched, with one "/" before each
// segment. What the visitor wrote is percent-encoded: apps put the prefix before the
// paths of their links, and "/\\" would begin an authority there.
func (m Match) Prefix() string {
	if starCount(m.Route.Path) == 0 {
		return m.Route.Path
	}
	var path strings.Builder
	for segment := range strings.SplitSeq(m.Taken, "/") {
		if segment != "" {
			path.WriteString("/" + encode(segment, inPath))
		}
	}
	return path.String()
}

// expand is a rewrite: it puts rest, as it is, in the place of restMark. A "/" on both sides of the joint
// is one: "/v1/{rest}" and "/v1{rest}" mean the same. After "//" it is none: an
// authority must not come from rest.
func expand(template, rest string, allowed charset) string {
	var out strings.Builder
	for {
		literal, after, found := strings.Cut(template, restMark)
		out.WriteString(encode(literal, allowed))
		if !found {
			return out.String()
		}
		joint := rest
		if strings.HasSuffix(literal, "/") && !strings.HasSuffix(literal, "//") {
			joint = strings.TrimPrefix(rest, "/")
		}
		out.WriteString(joint)
		template = after
	}
}

// oneSlash makes path begin with exactly one "/".
func oneSlash(path string) string {
	return "/" + strings.TrimLeft(path, "/")
}

// charset are the bytes beside letters, digits and escapes that stay as they
// are.
type charset string

const (
	// inPath is the rest of pchar and "/" (RFC 3986 section 3.3).
	inPath charset = "-._~!$&'()*+,;=:@/"
	// inURL are the printable characters: what a visitor or a Proxyfile wrote
	// as a URL is kept, but can begin no new line. A backslash is left out:
	// browsers read it as "/".
	inURL charset = inPath + "?#[]\"<>^`{|}"
	// inField is all that is printable.
	inField charset = inURL + "\\"
	// inAuthority is what a host and its port are made of.
	inAuthority charset = "-._~[]:"
	// inValue is what says nothing else in a query, or within a path.
	inValue charset = "-._~/:@,"
)

// encode percent-encodes the bytes of s that are not allowed and leaves
// escapes that are there already alone.
func encode(s string, allowed charset) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		_, escape := unhex(s[i:])
		switch {
		case c == '%' && escape, isAlphanumeric(c), c != '%' && strings.IndexByte(string(allowed), c) >= 0:
			out.WriteByte(c)
		default:
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return out.String()
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
