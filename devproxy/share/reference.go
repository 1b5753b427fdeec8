package share

import "strings"

// reference is a URL with an authority, cut into pieces that make the same text
// again: nothing is decoded or encoded on the way.
type reference struct {
	scheme    string // "https:", or empty for one relative to its scheme
	userinfo  string // with its "@"
	authority string
	rest      string // path, query and fragment
}

// cutReference cuts an http, https, ws or wss URL, or one relative to its scheme
// (RFC 3986 section 4.2). ok is false for everything else.
func cutReference(text string) (ref reference, ok bool) {
	scheme, after, found := strings.Cut(text, "//")
	if !found || !isWebScheme(lower(scheme)) {
		return reference{}, false
	}
	ref.scheme = scheme
	// Browsers read a backslash as a slash here (WHATWG URL, special schemes).
	end := strings.IndexAny(after+"/", `/?#\`)
	host := strings.LastIndexByte(after[:end], '@') + 1
	ref.userinfo, ref.authority, ref.rest = after[:host], after[host:end], after[end:]
	return ref, true
}

func isWebScheme(scheme string) bool {
	switch scheme {
	case "", "http:", "https:", "ws:", "wss:":
		return true
	}
	return false
}

// String is the text again.
func (r reference) String() string { return r.scheme + "//" + r.userinfo + r.authority + r.rest }

// defaultPort is what an authority without a port means. A page of a share is
// of https, and so is what is relative to its scheme.
func (r reference) defaultPort() string {
	switch lower(r.scheme) {
	case "http:", "ws:":
		return httpPort
	}
	return httpsPort
}

// secure has the scheme be the encrypted one: public names have no other.
func (r *reference) secure() {
	switch lower(r.scheme) {
	case "http:":
		r.scheme = "https:"
	case "ws:":
		r.scheme = "wss:"
	}
}
