package share

import (
	"cmp"
	"strings"
)

const (
	httpPort  = "80"
	httpsPort = "443"
	// maxLabel is the length of a label in bytes, RFC 1035 section 2.3.4.
	maxLabel = 63
)

// authority is a normalized host and port (RFC 3986 section 3.2): the name in lower
// case without its trailing dot, the port always present.
type authority struct{ name, port string }

// String returns the authority as https writes it: without port 443.
func (a authority) String() string {
	if a.port == httpsPort {
		return a.name
	}
	return a.name + ":" + a.port
}

// parseAuthority parses an authority without userinfo. port is the default port. A
// name may contain a "*": it is looked up like any other name.
func parseAuthority(text, port string) (a authority, ok bool) {
	name := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		name = text[:i]
		if text[i+1:] != "" {
			port = text[i+1:]
		}
	}
	name = strings.TrimSuffix(lower(name), ".")
	return authority{name, port}, name != "" && isPort(port) && isName(name)
}

func isPort(port string) bool {
	return len(port) <= len("65535") && strings.Trim(port, "0123456789") == ""
}

// isName reports whether name, in lower case, has only the characters of names and
// addresses.
func isName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return !isLabelRune(r) && !strings.ContainsRune(".*[:]", r) })
}

// isLabel reports whether text can replace the "*" of a wildcard.
func isLabel(text string) bool {
	return text != "" && len(text) <= maxLabel && !strings.ContainsFunc(text, func(r rune) bool { return !isLabelRune(r) })
}

func isLabelRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

// lower folds ASCII only: folding more could turn one name into another. The result
// is as long as text.
func lower(text string) string {
	result := []byte(text)
	for i, c := range result {
		if 'A' <= c && c <= 'Z' {
			result[i] = c + 'a' - 'A'
		}
	}
	return string(result)
}

// within reports whether name is domain or a subdomain of it.
func within(name, domain string) bool {
	return domain != "" && (name == domain || strings.HasSuffix(name, "."+domain))
}

// reference is a URL with an authority, cut into pieces that make the same text
// again: nothing is decoded or encoded.
type reference struct {
	scheme    string // "https:", or empty for a URL relative to its scheme
	userinfo  string // with its "@"
	authority string
	rest      string // path, query and fragment
}

// cutReference cuts an http, https, ws or wss URL, or one relative to its scheme
// (RFC 3986 section 4.2). It reports false for any other text.
func cutReference(text string) (ref reference, ok bool) {
	scheme, after, found := strings.Cut(text, "//")
	if _, isWeb := webSchemes[lower(scheme)]; !found || !isWeb {
		return reference{}, false
	}
	ref.scheme = scheme
	// Browsers read a backslash as a slash here (WHATWG URL, special schemes).
	end := strings.IndexAny(after+"/", `/?#\`)
	host := strings.LastIndexByte(after[:end], '@') + 1
	ref.userinfo, ref.authority, ref.rest = after[:host], after[host:end], after[end:]
	return ref, true
}

// webSchemes are the schemes of references, with their default port and the encrypted
// scheme that replaces them. Pages of a share use https, and so do URLs relative to their
// scheme.
var webSchemes = map[string]struct{ port, secure string }{
	"":       {port: httpsPort},
	"http:":  {port: httpPort, secure: "https:"},
	"https:": {port: httpsPort},
	"ws:":    {port: httpPort, secure: "wss:"},
	"wss:":   {port: httpsPort},
}

// String returns the original text, with the changes.
func (r reference) String() string { return r.scheme + "//" + r.userinfo + r.authority + r.rest }

// origin returns the origin of the URL, as text.
func (r reference) origin() string { return r.scheme + "//" + r.authority }

// defaultPort returns the port of an authority without one.
func (r reference) defaultPort() string { return webSchemes[lower(r.scheme)].port }

// secure changes the scheme to the encrypted one, the only one of public names.
func (r *reference) secure() { r.scheme = cmp.Or(webSchemes[lower(r.scheme)].secure, r.scheme) }
