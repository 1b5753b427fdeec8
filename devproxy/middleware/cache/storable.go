package cache

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
)

// storable reports whether a shared cache may keep a response (section 3), and
// whether this one does.
func storable(r *http.Request, status int, h http.Header, d policy) bool {
	switch {
	case r.Method != http.MethodGet, parseControl(r.Header).noStore:
		return false
	case status < 200, isPersonal(status), status == http.StatusPartialContent, status == http.StatusNotModified:
		return false
	case d.has("must-understand") && !understood(status):
		return false
	case d.has("no-store") && !d.has("must-understand"): // section 5.2.2.3
		return false
	case d.has("private"), len(h["Set-Cookie"]) > 0:
		return false
	case r.Header.Get("Authorization") != "" && !d.has("public") && !d.has("s-maxage") && !d.has("must-revalidate"): // section 3.5
		return false
	case slices.Contains(varyNames(h), "*"), len(h["Trailer"]) > 0, isStream(h):
		return false
	}
	explicit := d.has("public") || d.has("s-maxage") || d.has("max-age") || len(d.expires) > 0
	return explicit || heuristic(status) && (h.Get("Etag") != "" || h.Get("Last-Modified") != "")
}

// isPersonal reports a status that answers a field of one request and not its
// target: a condition, a range, an expectation, its size, the client's own rate
// or credentials (RFC 9110 sections 15.5.8, 15.5.13, 15.5.17, 15.5.18; RFC 6585
// says "MUST NOT be stored" of its own).
func isPersonal(status int) bool {
	return slices.Contains([]int{407, 412, 416, 417, 428, 429, 431, 511}, status)
}

// understood reports a status whose caching RFC 9110 defines in a way that this
// cache follows.
func understood(status int) bool {
	return heuristic(status) || slices.Contains([]int{302, 303, 307, 400, 401, 403, 406, 409, 411, 413, 415, 422, 451, 500, 502, 503, 504}, status)
}

// isStream reports whether a response has no end of its own.
func isStream(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "text/event-stream" || kind == "multipart/x-mixed-replace" || strings.HasPrefix(kind, "application/grpc")
}

// varyNames returns the canonical names that Vary lists, "*" included.
func varyNames(h http.Header) []string {
	var names []string
	for name := range field.Elements(h["Vary"]) {
		names = append(names, http.CanonicalHeaderKey(name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// selecting returns a request's values for the fields that Vary lists, in a form
// that is equal for equal values (section 4.1): lines joined, space around commas
// dropped.
func selecting(names []string, h http.Header) []string {
	values := make([]string, len(names))
	for i, name := range names {
		lines, there := h[name]
		if !there {
			continue // unlike an empty one, which begins with a mark
		}
		var items []string
		for rest := foldCase(name, strings.Join(lines, ",")); ; {
			end := listItem(rest)
			items = append(items, strings.TrimSpace(rest[:end]))
			if end == len(rest) {
				break
			}
			rest = rest[end+1:]
		}
		values[i] = "=" + strings.Join(items, ",")
	}
	return values
}

// foldCase returns value in lower case for the fields that ignore case: language
// ranges (RFC 4647 section 2.1), codings and character sets (RFC 9110 sections
// 8.4.1 and 8.3.2).
func foldCase(name, value string) string {
	switch name {
	case "Accept-Language", "Accept-Encoding", "Accept-Charset":
		return strings.ToLower(value)
	}
	return value
}

// listItem returns the length of the first item of a list. A comma in quotes does
// not end it (RFC 9110 section 5.6.4).
func listItem(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == ',' && !quoted:
			return i
		}
	}
	return len(s)
}

// keptHeader returns the stored fields of h.
func keptHeader(h http.Header) http.Header {
	kept := h.Clone()
	field.DropNamed(kept, h["Connection"])
	for name := range kept {
		if field.IsHopByHop(name) {
			delete(kept, name)
		}
	}
	return kept
}
