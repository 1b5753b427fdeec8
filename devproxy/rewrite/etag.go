package rewrite

import (
	"net/http"
	"strings"
)

// A response whose URLs are replaced is another representation. Its entity tag is
// the upstream's with a mark of the names: after "~dp-" the mark, then "s" if the
// upstream's tag is strong, "w" if it is weak. It is always weak.

const tagMark = "~dp-"

// markTag returns the entity tag of a changed representation.
func markTag(tag, mark string) string {
	opaque, weak := strings.CutPrefix(strings.TrimSpace(tag), "W/")
	strength := "s"
	if weak {
		strength = "w"
	}
	if len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' {
		return tag // not an entity tag
	}
	return "W/" + opaque[:len(opaque)-1] + tagMark + mark + strength + `"`
}

// unmarkTag returns the upstream's tag, and the mark that it had.
func unmarkTag(tag string) (upstream, mark string, marked bool) {
	opaque, weak := strings.CutPrefix(tag, "W/")
	body, closed := strings.CutSuffix(opaque, `"`)
	at := strings.LastIndex(body, tagMark)
	if !weak || !closed || at < 0 || len(body) == at+len(tagMark) {
		return tag, "", false
	}
	mark = body[at+len(tagMark):]
	upstream, mark, strength := body[:at]+`"`, mark[:len(mark)-1], mark[len(mark)-1]
	if strength == 'w' {
		upstream = "W/" + upstream
	}
	return upstream, mark, true
}

// unmarkTags makes the entity tags of a request those of the upstream. A tag of a
// representation with other names is dropped from If-None-Match: what the client has
// is out of date even if the upstream's has not changed. It reports whether tags of
// these names remain.
func unmarkTags(h http.Header, mark string) (ours bool) {
	for _, name := range []string{"If-None-Match", "If-Match"} {
		var kept []string
		changed := false
		for _, tag := range tagsOf(h[name]) {
			upstream, of, marked := unmarkTag(tag)
			changed = changed || marked
			if marked && of != mark && name == "If-None-Match" {
				continue
			}
			ours = ours || marked && of == mark
			kept = append(kept, upstream)
		}
		switch {
		case !changed:
		case len(kept) > 0:
			h[name] = []string{strings.Join(kept, ", ")}
		default:
			delete(h, name)
			delete(h, "If-Modified-Since")
		}
	}
	return ours
}

// tagsOf returns the entity tags of a field (RFC 9110 section 8.8.3), as they are
// written.
func tagsOf(lines []string) (tags []string) {
	for _, line := range lines {
		for line = strings.TrimLeft(line, " \t,"); line != ""; line = strings.TrimLeft(line, " \t,") {
			start := strings.IndexByte(line, '"')
			end := -1
			if start >= 0 {
				end = strings.IndexByte(line[start+1:], '"')
			}
			if end < 0 {
				tags = append(tags, line) // "*", or not a tag
				break
			}
			end += start + 2
			tags = append(tags, line[:end])
			line = line[end:]
		}
	}
	return tags
}
