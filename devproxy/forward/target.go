package forward

import (
	"net/url"
	"strings"
)

// outURL is the URL that makes http.Transport send path and query byte for
// byte as they are. Path and RawPath do where their own escaping gives the
// same bytes back; Opaque does otherwise. A path beginning with "//" that fits
// neither would be read as an authority: a *TargetError.
func outURL(scheme, authority, path, rawQuery string, forceQuery bool) (*url.URL, error) {
	u := &url.URL{Scheme: scheme, Host: authority, RawQuery: rawQuery, ForceQuery: forceQuery}
	if plain(path) {
		u.Path = path
		return u, nil
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = decoded, path
		if u.EscapedPath() == path {
			return u, nil
		}
	}
	if strings.HasPrefix(path, "//") {
		return nil, &TargetError{path}
	}
	u.Path, u.RawPath, u.Opaque = "", "", path
	return u, nil
}

// plain reports whether path is the same escaped and unescaped: the usual case.
func plain(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || c == '@' || c == ':' || c == '$' || c == '&' || c == '+' || c == '=':
		default:
			return false
		}
	}
	return true
}
