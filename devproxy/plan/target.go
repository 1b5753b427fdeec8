package plan

import (
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// restMark is replaced in a rewrite or a redirect by the part after the route's
// path.
const restMark = "{rest}"

// Target returns the path to forward for the path that came, both
// percent-encoded: with strip_prefix or rewrite applied, or rawPath itself. The
// kept part of rawPath is kept byte for byte. A changed path begins with
// exactly one "/", so that no one takes what follows for an authority (RFC 3986
// section 3.3); rawPath itself may begin with several.
func (m Match) Target(rawPath string) string {
	switch {
	case m.Route.Rewrite != "":
		return oneSlash(rewrite(m.Route.Rewrite, m.Rest))
	case m.Route.StripPrefix:
		return oneSlash(m.Rest)
	}
	return rawPath
}

// rewrite puts rest, as it is, in the place of restMark. If both sides of the
// joint have a "/", one is left: "/v1/{rest}" and "/v1{rest}" mean the same.
// After "//" none is added: an authority must not come from rest.
func rewrite(template, rest string) string {
	var out strings.Builder
	for {
		literal, after, found := strings.Cut(template, restMark)
		out.WriteString(encode(literal, inPath))
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

// FilesPath returns the path to look up in the folder of a route with files,
// percent-encoded: the part after the route's path, and for an exact route the
// last segment of the path.
func (m Match) FilesPath() string {
	if m.Route.Exact {
		return m.Taken[strings.LastIndexByte(m.Taken, '/'):]
	}
	return m.Rest
}

// TryPath returns the path to look up in the folder of try_files,
// percent-encoded.
func (m Match) TryPath() string {
	if m.Route.TryFiles.Whole {
		return m.Taken + m.Rest
	}
	return m.FilesPath()
}

// Prefix returns the path that strip_prefix removes, for X-Forwarded-Prefix:
// the route's path; if that has stars, the matched text, with one "/" before
// each segment. The client's text is percent-encoded: apps put the prefix
// before the paths of their links, and "/\\" would begin an authority there.
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

// Values are the values of placeholders in one request. The client's text is in
// them as it came; its encoding depends on its destination.
type Values struct {
	Client string // {client}: the client's address, or "unknown"
	Host   string // {host}: the requested authority, with its port if it has one
	Path   string // {path}: the request's path, percent-encoded
	Query  string // {query}: without the "?"
	ID     string // {id}: different for each request
}

// Placeholders reports whether With needs values for the route.
func (r *Route) Placeholders() bool {
	if x, ok := r.Answer.(*Redirect); ok && hcl.HasPlaceholder(x.Target) {
		return true
	}
	return havePlaceholders(r.RequestHeaders) || havePlaceholders(r.ResponseHeaders)
}

// FieldPlaceholders reports whether the response headers of the route depend on the
// request.
func (r *Route) FieldPlaceholders() bool { return havePlaceholders(r.ResponseHeaders) }

func havePlaceholders(fields []Header) bool {
	return slices.ContainsFunc(fields, func(h Header) bool { return hcl.HasPlaceholder(h.Value) })
}

// With returns m with values for placeholders in Location and in the header
// fields of its route, which is then a copy.
func (m Match) With(v Values) Match {
	m.values = v
	if havePlaceholders(m.Route.RequestHeaders) || havePlaceholders(m.Route.ResponseHeaders) {
		route := *m.Route
		route.RequestHeaders = m.fields(route.RequestHeaders)
		route.ResponseHeaders = m.fields(route.ResponseHeaders)
		m.Route = &route
	}
	return m
}

// fields returns fields with values for their placeholders. Nothing that a client
// wrote begins a new line, or is a byte other than printable ASCII.
func (m Match) fields(fields []Header) []Header {
	expanded := slices.Clone(fields)
	for i, field := range expanded {
		if !hcl.HasPlaceholder(field.Value) {
			continue
		}
		var value strings.Builder
		for part := range hcl.Placeholders(field.Value) {
			if part.Name == "" {
				value.WriteString(part.Text)
			} else {
				value.WriteString(encode(m.value(part.Name), inField))
			}
		}
		expanded[i].Value = value.String()
	}
	return expanded
}

// value returns the value of a placeholder, as it came.
func (m Match) value(name string) string {
	switch v := m.values; name {
	case "client":
		return v.Client
	case "host":
		return v.Host
	case "uri":
		if v.Query == "" {
			return v.Path
		}
		return v.Path + "?" + v.Query
	case "path":
		return v.Path
	case "query":
		return v.Query
	case "id":
		return v.ID
	}
	return m.Rest
}

// Location returns the URL that the route redirects to. The query that came is
// kept, unless the target has {uri} or {query}. It is empty when the route's
// answer is not a redirect.
//
// A target on this host stays on it, whatever the client's path is. The
// client's text keeps its escapes in a path, and as {query} after "?" or "&".
// As the value of a parameter, nothing in it ends that value: {path} and {rest}
// keep their escapes, so that decoding gives the text that they mean, and the
// others are encoded, so that decoding gives what came.
func (m Match) Location(rawQuery string) string {
	redirect, ok := m.Route.Answer.(*Redirect)
	if !ok {
		return ""
	}
	var out strings.Builder
	local, query := strings.HasPrefix(redirect.Target, "/") && !strings.HasPrefix(redirect.Target, "//"), true
	for part := range hcl.Placeholders(redirect.Target) {
		if part.Name == "" {
			out.WriteString(encode(part.Text, inURL))
			continue
		}
		before := out.String()
		local = local || before == "" && part.IsPath()
		query = query && part.Name != "uri" && part.Name != "query"
		out.WriteString(m.inURL(part, before))
	}
	location := out.String()
	if local {
		location = oneSlash(location)
	}
	if rawQuery == "" || !query {
		return location
	}
	location, fragment, hasFragment := strings.Cut(location, "#")
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	location += separator + encode(rawQuery, inURL)
	if hasFragment {
		location += "#" + fragment
	}
	return location
}

// inURL returns the value of a placeholder after the beginning of a URL.
func (m Match) inURL(part hcl.Part, before string) string {
	value, inQuery := m.value(part.Name), strings.ContainsAny(before, "?#")
	switch {
	case part.Name == "query" && (strings.HasSuffix(before, "?") || strings.HasSuffix(before, "&")):
		return encode(value, inURL)
	case inQuery && (part.Name == "path" || part.Name == "rest"):
		return encode(value, inValue)
	case inQuery, !part.IsPath() && part.Name != "host":
		return encode(strings.ReplaceAll(value, "%", "%25"), inValue) // decoding gives value
	case part.Name == "host":
		return encode(value, inAuthority)
	case strings.HasSuffix(before, "/") && !strings.HasSuffix(before, "//"):
		// A "/" on both sides of the joint is one. After "//" none is added: an
		// authority must not come from a path.
		value = strings.TrimPrefix(value, "/")
	}
	return encode(value, inURL)
}

// charset are the bytes that stay unchanged, in addition to letters, digits and
// escapes.
type charset string

const (
	// inPath is the rest of pchar and "/" (RFC 3986 section 3.3).
	inPath charset = "-._~!$&'()*+,;=:@/"
	// inURL are the printable characters: a URL from a client or a Proxyfile is
	// kept, but can't begin a new line. A backslash is left out: browsers read
	// it as "/".
	inURL charset = inPath + "?#[]\"<>^`{|}"
	// inField is everything printable.
	inField charset = inURL + "\\"
	// inAuthority are the characters of a host and its port.
	inAuthority charset = "-._~[]:"
	// inValue are the characters without a special meaning in a query, or
	// within a path.
	inValue charset = "-._~/:@,"
)

// encode percent-encodes the bytes of s that are not allowed, except escapes
// that are there already.
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
