package hcl

import (
	"path"
	"strings"
)

const (
	// maxCallbacks is how many paths a callback host can have, maxCallbackPath how long
	// each can be, in bytes. They are the relay's.
	maxCallbacks    = 16
	maxCallbackPath = 256

	callbackExample = `write one like "/auth/callback"`
	// callbackCharacters need no encoding in a path (RFC 3986 section 3.3), so that the
	// path has one spelling.
	callbackCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/"
	// shellCharacters are those of them with which a shell runs something. The path is in a
	// file of variables, which scripts may read as a part of themselves.
	shellCharacters = "!$&'();"
)

// decodeCallback decodes the paths at which an app expects the answers of OAuth providers:
// one, or a list.
func (d *decoder) decodeCallback(b *block) []Name {
	f, present := d.get(b, "callback")
	if !present {
		return nil
	}
	var paths []Name
	for element, text := range texts(f.oneOrMore(callbackExample+", or remove it", "callback is empty"), "callback") {
		if p := element.place(); p.callbackPath(text) {
			paths = p.appendNew(paths, Name{Value: text, Range: element.at()})
		}
	}
	if len(paths) > maxCallbacks {
		f.errorf("list fewer", "a share can have at most %d callbacks", maxCallbacks)
		return nil
	}
	return paths
}

// callbackPath checks a path that is compared byte by byte.
func (p place) callbackPath(text string) bool {
	before, _, query := strings.Cut(text, "?")
	// Where a path is meant, the advice is the path of a URL.
	_, rest, isURL := strings.Cut(text, "://")
	_, rest, _ = strings.Cut(rest, "/")
	clean := path.Clean("/" + text)
	if strings.HasSuffix(text, "/") && clean != "/" {
		clean += "/"
	}
	return p.passes(
		when(text == "", callbackExample+", or remove it", "callback is empty"),
		when(isURL, suggest("/"+rest)+"; it is a path of the first shared host", "a callback can't be a URL"),
		when(query, suggest(before), "a callback can't have a query"),
		when(strings.Trim(text, callbackCharacters) != "", callbackExample, "%q has characters that need encoding", text),
		when(strings.ContainsAny(text, shellCharacters), callbackExample, "%q has characters that shells read", text),
		when(strings.Contains(text, "*"), "list each path", "a callback can't have a *"),
		when(clean != text, suggest(clean), "%q is not the path that a browser sends", text),
		when(len(text) > maxCallbackPath, "", "a callback can have at most %d characters", maxCallbackPath),
	)
}
