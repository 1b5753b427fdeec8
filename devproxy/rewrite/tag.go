package rewrite

import (
	"bytes"
	"html"
	"strings"
)

// attribute is one of a tag, as offsets in the tag.
type attribute struct {
	name       string // in lower case
	start, end int    // of all of it
	from, to   int    // of the value, without quotes; both 0 without one
}

// tagAt reads the tag at the beginning of b, as browsers do (WHATWG HTML, 13.2.5.8
// and after). It returns its name in lower case and where the tag ends, which is
// -1 while it has not. It calls each for the attributes, unless that is nil.
func tagAt(b []byte, each func(attribute)) (name string, end int) {
	name = tagName(nameOf(b))
	i := 1 + len(nameOf(b))
	for {
		for i < len(b) && (isSpace(b[i]) || b[i] == '/') {
			i++
		}
		if i == len(b) {
			return name, -1
		}
		if b[i] == '>' {
			return name, i + 1
		}
		a := attribute{start: i}
		for i++; i < len(b) && !isSpace(b[i]) && b[i] != '/' && b[i] != '>' && b[i] != '='; {
			i++
		}
		nameEnd := i
		for i < len(b) && isSpace(b[i]) {
			i++
		}
		a.end = nameEnd
		if i < len(b) && b[i] == '=' {
			if i = value(b, i+1, &a); i < 0 {
				return name, -1
			}
		}
		if each != nil {
			a.name = asciiLower(b[a.start:nameEnd])
			each(a)
		}
	}
}

// nameOf returns the name of the tag at the beginning of b, with the slash of an end
// tag.
func nameOf(b []byte) []byte {
	i := 1
	if i < len(b) && b[i] == '/' {
		i++
	}
	for i < len(b) && !isSpace(b[i]) && b[i] != '/' && b[i] != '>' {
		i++
	}
	return b[1:i]
}

// value reads the value after the "=" of a. It returns where the next attribute may
// begin, or -1 if the value has not ended.
func value(b []byte, i int, a *attribute) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	if i == len(b) {
		return -1
	}
	if quote := b[i]; quote == '"' || quote == '\'' {
		n := bytes.IndexByte(b[i+1:], quote)
		if n < 0 {
			return -1
		}
		a.from, a.to = i+1, i+1+n
		a.end = a.to + 1
		return a.end
	}
	a.from = i
	for i < len(b) && !isSpace(b[i]) && b[i] != '>' {
		i++
	}
	if i == len(b) {
		return -1
	}
	a.to, a.end = i, i
	return i
}

// mayMatter reports whether a name that tagName knows begins with c.
func mayMatter(c byte) bool {
	switch lower(c) {
	case 's', 'l', 'm', 't', 'i', 'x', 'n':
		return true
	}
	return false
}

// tagName returns those names of start tags that this package looks at, in lower
// case, and "" for any other.
func tagName(name []byte) string {
	if len(name) < len("xmp") || len(name) > len("noframes") {
		return ""
	}
	if name[0] == '/' {
		return ""
	}
	for _, known := range [...]string{"script", "link", "meta", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"} {
		if len(name) == len(known) && hasFold(name, known) == yes {
			return known
		}
	}
	return ""
}

// isRaw reports whether the content of an element has no tags.
func isRaw(name string) bool { return name != "" && name != "link" && name != "meta" }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// attributes are those of one tag. The first of several with one name counts.
type attributes struct {
	tag []byte
	all []attribute
}

func (t *attributes) find(name string) (attribute, bool) {
	for _, a := range t.all {
		if a.name == name {
			return a, true
		}
	}
	return attribute{}, false
}

// get returns the value of an attribute, decoded; empty if there is none.
func (t *attributes) get(name string) string {
	a, ok := t.find(name)
	if !ok {
		return ""
	}
	return html.UnescapeString(string(t.tag[a.from:a.to]))
}

func (t *attributes) has(name string) bool {
	_, ok := t.find(name)
	return ok
}

// without returns the tag without an attribute.
func (t *attributes) without(name string) []byte {
	a, _ := t.find(name)
	return append(bytes.TrimRight(t.tag[:a.start:a.start], " \t\r\n\f"), t.tag[a.end:]...)
}

// with returns the tag with another value of an attribute that it has.
func (t *attributes) with(name, text string) []byte {
	a, _ := t.find(name)
	text = strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;").Replace(text)
	changed := append([]byte{}, t.tag[:a.start]...)
	changed = append(changed, name+`="`+text+`"`...)
	return append(changed, t.tag[a.end:]...)
}
