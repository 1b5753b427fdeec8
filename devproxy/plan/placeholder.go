package plan

import (
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// Values are what placeholders stand for in one request. What a client wrote is in
// them as it came; how it is encoded depends on where it goes.
type Values struct {
	Client string // {client}: the client's address, or "unknown"
	Host   string // {host}: the authority that was asked for, with its port where it has one
	Path   string // {path}: the request's path, percent-encoded
	Query  string // {query}: without the "?"
	ID     string // {id}: another one for each request
}

// Placeholders reports whether With needs values for the route.
func (r *Route) Placeholders() bool {
	if x, ok := r.Answer.(*Redirect); ok && hcl.HasPlaceholder(x.Target) {
		return true
	}
	return fieldsHavePlaceholders(r.RequestHeaders) || fieldsHavePlaceholders(r.ResponseHeaders)
}

// FieldPlaceholders reports whether the response headers of the route depend on the
// request.
func (r *Route) FieldPlaceholders() bool { return fieldsHavePlaceholders(r.ResponseHeaders) }

func fieldsHavePlaceholders(fields []Header) bool {
	return slices.ContainsFunc(fields, func(h Header) bool { return hcl.HasPlaceholder(h.Value) })
}

// With is m with values in the place of placeholders: in the header fields of its
// route, which is a copy then, and in Location.
func (m Match) With(v Values) Match {
	m.values = &v
	if fieldsHavePlaceholders(m.Route.RequestHeaders) || fieldsHavePlaceholders(m.Route.ResponseHeaders) {
		route := *m.Route
		route.RequestHeaders = m.fields(route.RequestHeaders)
		route.ResponseHeaders = m.fields(route.ResponseHeaders)
		m.Route = &route
	}
	return m
}

// fields are fields with values in the place of placeholders. Nothing that a client
// wrote begins a new line, or is a byte that is not printable ASCII.
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

// value is what a placeholder stands for, as it came.
func (m Match) value(name string) string {
	v := m.values
	if v == nil {
		v = &Values{}
	}
	switch name {
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

// Location is where the route's redirect sends the visitor. The query that came is
// kept, unless the target has {uri} or {query}. It is empty when the route's answer
// is not a redirect.
//
// A target on this host stays on it, whatever the visitor's path is. What the
// visitor wrote keeps its escapes in a path, and as {query} after "?" or "&". As the
// value of a parameter nothing in it ends that value: {path} and {rest} keep their
// escapes, so that decoding gives the text that they stand for, and the others are
// encoded, so that decoding gives what came.
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
	if strings.Contains(location, "?") {
		location += "&" + encode(rawQuery, inURL)
	} else {
		location += "?" + encode(rawQuery, inURL)
	}
	if hasFragment {
		location += "#" + fragment
	}
	return location
}

// inURL is what a placeholder stands for after the beginning of a URL.
func (m Match) inURL(part hcl.Part, before string) string {
	value := m.value(part.Name)
	switch {
	case part.Name == "query" && strings.HasSuffix(before, "?"), part.Name == "query" && strings.HasSuffix(before, "&"):
		return encode(value, inURL)
	case strings.ContainsAny(before, "?#") && (part.Name == "path" || part.Name == "rest"):
		return encode(value, inValue)
	case strings.ContainsAny(before, "?#"), !part.IsPath() && part.Name != "host":
		return encodeAll(value)
	case part.Name == "host":
		return encode(value, inAuthority)
	case strings.HasSuffix(before, "/") && !strings.HasSuffix(before, "//"):
		// A "/" on both sides of the joint is one. After "//" it is none: an
		// authority must not come from a path.
		value = strings.TrimPrefix(value, "/")
	}
	return encode(value, inURL)
}

// encodeAll percent-encodes a text as a part of a path or a query whose decoding is
// that text.
func encodeAll(s string) string {
	return encode(strings.ReplaceAll(s, "%", "%25"), inValue)
}
