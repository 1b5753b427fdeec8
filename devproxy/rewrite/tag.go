package rewrite

import (
	"bytes"
	"fmt"
	"html"
	"slices"
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
	case 'b', 's', 'l', 'm', 't', 'i', 'x', 'n':
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
	for _, known := range [...]string{"base", "script", "link", "meta", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes", "svg", "math"} {
		if len(name) == len(known) && hasFold(name, known) == yes {
			return known
		}
	}
	return ""
}

// isRaw reports whether the content of an element has no tags.
func isRaw(name string) bool {
	switch name {
	case "", "base", "link", "meta", "svg", "math":
		return false
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// attributes are those of one tag. The first of several with one name counts.
type attributes struct {
	tag []byte
	all []attribute
}

// attributesOf returns those of a complete tag.
func attributesOf(tag []byte) attributes {
	t := attributes{tag: tag}
	tagAt(tag, func(a attribute) { t.all = append(t.all, a) })
	return t
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

// closed reports whether the tag ends with a slash. It is an element without content then,
// in SVG and MathML.
func (t *attributes) closed() bool {
	slash := len(t.tag) - len("/>")
	return t.tag[slash] == '/' && (len(t.all) == 0 || t.all[len(t.all)-1].end <= slash)
}

// raw returns the value of an attribute as it is written.
func (t *attributes) raw(name string) string {
	a, _ := t.find(name)
	return string(t.tag[a.from:a.to])
}

// A browser may see a text where this package sees a tag: in <noscript>, in <svg>, after
// invalid markup. So a change must not move the limits of what surrounds it: it removes
// and adds no "<", ">" or double quote, and single quotes in pairs only.

// without returns the tag without an attribute whose value has no quotes in it. The
// attributes next to it stay apart.
func (t *attributes) without(name string) []byte {
	a, _ := t.find(name)
	before := t.tag[:a.start]
	if after := peek(t.tag, a.end); isSpace(after) || after == '>' {
		before = bytes.TrimRight(before, " \t\r\n\f")
	}
	return slices.Concat(before, t.tag[a.end:]) // a new one: the tag is the writer's
}

// change replaces the value of an attribute by what changed makes of it. A value without
// quotes around it, or one that such a change could not be limited to, stays as it is.
func (t *attributes) change(name string, changed func(string) string) {
	a, ok := t.find(name)
	raw := t.raw(name)
	escaped := strings.Contains(raw, "&")
	if !ok || a.from == a.to || a.end == a.to || strings.ContainsAny(raw, `<>"`) || escaped && strings.Contains(raw, "'") {
		return
	}
	was := t.get(name)
	text := changed(was)
	if text == was {
		return
	}
	if escaped {
		text = escape(text)
	}
	t.tag = slices.Concat(t.tag[:a.from], []byte(text), t.tag[a.to:])
}

// escape writes all but letters, digits and harmless punctuation as character
// references.
func escape(text string) string {
	var out strings.Builder
	for _, c := range text {
		if c < 0x80 && (isHost(byte(c)) || strings.ContainsRune(" :/;*+=,", c)) {
			out.WriteRune(c)
		} else {
			fmt.Fprintf(&out, "&#%d;", c)
		}
	}
	return out.String()
}

// longTag passes a tag that is too long to be held back, piece by piece.
type longTag struct {
	within tagPart
	quote  byte
}

// tagPart is a part of a tag.
type tagPart int

const (
	inTagName tagPart = iota
	inSpace           // between attributes
	inName            // of an attribute, or in the space after it
	inEquals          // before a value
	inQuotes
	inValue // without quotes
)

// pass returns how much of b belongs to the tag, and whether it ends there.
func (t *longTag) pass(b []byte) (size int, done bool) {
	for i, c := range b {
		switch {
		case t.within == inQuotes:
			if c == t.quote {
				t.within = inSpace
			}
		case c == '>':
			return i + 1, true
		case t.within == inEquals:
			switch {
			case c == '"' || c == '\'':
				t.within, t.quote = inQuotes, c
			case !isSpace(c):
				t.within = inValue
			}
		case t.within == inValue || t.within == inTagName:
			if isSpace(c) || c == '/' && t.within == inTagName {
				t.within = inSpace
			}
		case c == '/':
			t.within = inSpace
		case t.within == inName && c == '=':
			t.within = inEquals
		case !isSpace(c):
			t.within = inName
		}
	}
	return len(b), false
}
