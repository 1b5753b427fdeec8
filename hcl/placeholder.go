package hcl

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// placeholderNames returns what request_headers, response_headers and redirect
// can take from a request.
func placeholderNames() []string {
	return []string{"client", "host", "uri", "path", "query", "id", "rest"}
}

// otherPlaceholders returns the names that other programs have for them.
func otherPlaceholders() map[string]string {
	return map[string]string{
		"host": "host", "uri": "path", "remote_addr": "client", "remote_host": "client", "remote": "client", "client_ip": "client", "ip": "client", "binary_remote_addr": "client",
		"proxy_add_x_forwarded_for": "client", "http.request.remote.host": "client", "http.request.remote": "client", "realip_remote_addr": "client",
		"http_host": "host", "hostport": "host", "server_name": "host", "authority": "host", "http.request.host": "host", "http.request.hostport": "host",
		"request_uri": "uri", "http.request.uri": "uri", "url": "uri",
		"document_uri": "path", "http.request.uri.path": "path", "uri.path": "path",
		"args": "query", "query_string": "query", "http.request.uri.query": "query", "uri.query": "query",
		"request_id": "id", "uuid": "id", "http.request.uuid": "id", "unique_id": "id",
		"suffix": "rest", "tail": "rest",
	}
}

// Part is a part of a text with placeholders: plain text, or a placeholder.
type Part struct {
	Text string // as it is sent; empty for a placeholder
	Name string // "client"; empty for text
}

// IsPath reports a placeholder whose value is a path: it begins with "/", or is
// empty.
func (p Part) IsPath() bool { return p.Name == "rest" || p.Name == "path" || p.Name == "uri" }

var (
	// braced matches a word in braces, and a word in two pairs of braces, which
	// means the word in one pair.
	braced = regexp.MustCompile(`\{\{[A-Za-z_][\w.-]*\}\}|\{[A-Za-z_][\w.-]*\}`)
	// placeholder matches anything in braces.
	placeholder = regexp.MustCompile(`\{[^{}]*\}`)
	// otherVariables matches variables of nginx and of shells.
	otherVariables = regexp.MustCompile(`\$(?:\w+|\{\w+\})`)
	// otherRest matches the words of other tools for {rest} and the like.
	otherRest = regexp.MustCompile(`(?:^|/)\$[0-9]\b|\$(?:uri|request_uri|is_args|args)\b`)
)

// Placeholders yields the parts of text in order. Braces that are not around a
// single word are text, and so is a word that is not a placeholder.
func Placeholders(text string) iter.Seq[Part] {
	return func(yield func(Part) bool) {
		begin := 0
		for _, at := range braced.FindAllStringIndex(text, -1) {
			word := text[at[0]:at[1]]
			part := Part{Name: strings.Trim(word, "{}")}
			switch {
			case strings.HasPrefix(word, "{{"):
				part = Part{Text: word[1 : len(word)-1]}
			case !slices.Contains(placeholderNames(), part.Name):
				continue
			}
			if begin < at[0] && !yield(Part{Text: text[begin:at[0]]}) || !yield(part) {
				return
			}
			begin = at[1]
		}
		if begin < len(text) {
			yield(Part{Text: text[begin:]})
		}
	}
}

// HasPlaceholder reports whether text is sent in another form than it is written.
func HasPlaceholder(text string) bool {
	for part := range Placeholders(text) {
		if part.Text != text {
			return true
		}
	}
	return false
}

// checkPlaceholders reports words in braces that have no meaning, and warns of
// variables of other programs. flow says what flows into text: only the file's
// own text is checked.
func (p place) checkPlaceholders(text string, flow Flow) bool {
	if !flow.Empty() {
		text = withoutExpressions(flow.Shown)
	}
	for _, word := range braced.FindAllString(text, -1) {
		name := strings.Trim(word, "{}")
		if strings.HasPrefix(word, "{{") || slices.Contains(placeholderNames(), name) {
			continue
		}
		p.errorf(placeholderAdvice(name)+"; for the text itself, write "+"{"+word+"}", "unknown placeholder %s", word)
		return false
	}
	for _, found := range otherVariables.FindAllString(text, -1) {
		if name := otherPlaceholders()[strings.ToLower(strings.Trim(found, "${}"))]; name != "" {
			p.warnf("use {"+name+"}", "%s is not replaced: it is a variable of another program", found)
			break
		}
	}
	return true
}

// withoutExpressions returns a shown text without the contents of ${…} and
// %{…}.
func withoutExpressions(text string) string {
	var out strings.Builder
	depth := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '{' && (depth > 0 || i > 0 && (text[i-1] == '$' || text[i-1] == '%')):
			depth++
		case c == '}' && depth > 0:
			depth--
		case depth == 0:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// placeholderAdvice returns which placeholder was probably meant, and which exist.
func placeholderAdvice(name string) string {
	near := cmp.Or(otherPlaceholders()[strings.ToLower(name)], nearest(name, placeholderNames()))
	all := fmt.Sprintf("known are {%s}", strings.Join(placeholderNames(), "}, {"))
	if near != "" {
		return fmt.Sprintf("did you mean {%s}? %s", near, all)
	}
	return all
}

const restAdvice = "write {rest}: what follows the route's path"

// checkTarget reports text that neither a path nor a URL can have, and
// variables of other programs. A redirect has more placeholders than {rest}.
func (p place) checkTarget(target string, redirect bool) bool {
	if strings.ContainsFunc(target, unicode.IsControl) || strings.Contains(target, " ") {
		p.errorf("write %20 for a space", "a path can't contain spaces or control characters")
		return false
	}
	found := strings.TrimPrefix(otherRest.FindString(target), "/")
	if found == "" {
		return true
	}
	detail := restAdvice
	switch name := otherPlaceholders()[found[1:]]; {
	case redirect && name == "query":
		detail = "remove it: the query is kept"
	case redirect && name != "":
		detail = "use {" + name + "}"
	}
	p.errorf(detail, "unknown placeholder %s", found)
	return false
}
