package scaffold

import (
	"strconv"
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

// jsValue is a value as far as it can be known without running anything.
type jsValue struct {
	line   int
	text   string // of a string, a number, true and false
	known  bool   // text holds
	fields []jsField
	object bool
	source string // the tokens, without spaces, of anything else
}

type jsField struct {
	name  string
	value jsValue
}

func (v jsValue) field(name string) (jsValue, bool) {
	for _, f := range v.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return jsValue{}, false
}

// jsReader reads values out of tokens.
type jsReader struct {
	tokens []token
	consts map[string]jsValue
	depth  int
}

// maxNesting is how deep objects may nest: far more than any configuration.
const maxNesting = 50

func newJSReader(src []byte) *jsReader {
	r := &jsReader{tokens: tokens(src), consts: map[string]jsValue{}}
	for i, t := range r.tokens {
		if t.kind != js.ConstToken && t.text != "let" && t.kind != js.VarToken || i+1 >= len(r.tokens) {
			continue
		}
		name := r.tokens[i+1].text
		if at := r.initial(i + 2); at > 0 {
			r.consts[name] = r.value(at)
		}
	}
	return r
}

// initial is where the value of a declaration begins, past its type; 0 when
// it has none.
func (r *jsReader) initial(i int) int {
	for ; i < len(r.tokens) && i >= 0; i++ {
		switch r.tokens[i].text {
		case "=":
			return i + 1
		case ";", "}", ")", "const", "export":
			return 0
		}
	}
	return 0
}

// value reads the value that begins at i, up to the comma, bracket or semicolon
// after it.
func (r *jsReader) value(i int) jsValue {
	end := r.end(i)
	if i >= end {
		return jsValue{}
	}
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxNesting {
		return jsValue{line: r.tokens[i].line, source: r.source(i, end)}
	}
	// "a || b" and "a ?? b": what b says stands where a is not known.
	if at := r.either(i, end); at > 0 {
		if left := r.simple(i, at); left.known {
			return left
		}
		return r.value(at + 1)
	}
	return r.simple(i, end)
}

// either is the place of "||" or "??" on the outermost level; 0 for none.
func (r *jsReader) either(i, end int) int {
	level := 0
	for ; i < end; i++ {
		switch t := r.tokens[i].text; {
		case opens(t):
			level++
		case closes(t):
			level--
		case level == 0 && (t == "||" || t == "??"):
			return i
		}
	}
	return 0
}

func (r *jsReader) simple(i, end int) jsValue {
	t := r.tokens[i]
	v := jsValue{line: t.line, source: r.source(i, end)}
	next := end
	if i+1 < end {
		next = i + 1
	}
	alone := next == end || r.tokens[next].text == "as" || r.tokens[next].text == "satisfies"
	switch {
	case t.text == "{":
		v.object, v.fields = true, r.fields(i)
	case t.text == "(" && r.depth < maxNesting && r.end(i+1)+1 == end:
		return r.value(i + 1)
	case !alone:
	case t.kind == js.StringToken:
		v.text, v.known = unquoteJS(t.text)
	case t.kind == js.TemplateToken:
		v.text, v.known = unquoteJS(t.text)
	case js.IsNumeric(t.kind), t.kind == js.TrueToken, t.kind == js.FalseToken:
		v.text, v.known = strings.ReplaceAll(t.text, "_", ""), true
	case js.IsIdentifier(t.kind):
		if c, found := r.consts[t.text]; found {
			c.line = t.line
			return c
		}
	}
	if t.kind == js.TemplateStartToken {
		v.text, v.known = r.template(i, end)
	}
	return v
}

// template is `http://localhost:${port}` where every name in it is known.
func (r *jsReader) template(i, end int) (string, bool) {
	var out strings.Builder
	for ; i < end; i++ {
		t := r.tokens[i]
		switch t.kind {
		case js.TemplateStartToken, js.TemplateMiddleToken, js.TemplateEndToken:
			text := strings.TrimSuffix(strings.TrimSuffix(t.text[1:], "`"), "${")
			if strings.Contains(text, `\`) {
				return "", false
			}
			out.WriteString(text)
			if t.kind == js.TemplateEndToken {
				return out.String(), i+1 == end
			}
		default:
			c, found := r.consts[t.text]
			if !found || !c.known {
				return "", false
			}
			out.WriteString(c.text)
		}
	}
	return "", false
}

// fields reads the object that begins at i. A spread and a computed name are
// fields without a name, so that they can be spoken of.
func (r *jsReader) fields(i int) []jsField {
	var all []jsField
	for i++; i < len(r.tokens) && r.tokens[i].text != "}"; i++ {
		t := r.tokens[i]
		name := t.text
		if t.kind == js.StringToken {
			name, _ = unquoteJS(t.text)
		}
		if t.text == "," {
			continue
		}
		end := r.end(i)
		switch {
		case i+1 < end && r.tokens[i+1].text == ":" && t.text != "[":
			v := r.value(i + 2)
			v.line = t.line
			all = append(all, jsField{name, v})
		case i+1 == end && js.IsIdentifier(t.kind):
			v := r.simple(i, end)
			all = append(all, jsField{name, v})
		case js.IsIdentifier(t.kind) && i+1 < end && r.tokens[i+1].text == "(":
			all = append(all, jsField{name, jsValue{line: t.line, source: r.source(i, end)}})
		default:
			all = append(all, jsField{"", jsValue{line: t.line, source: r.source(i, end)}})
		}
		i = max(end, i)
		if i < len(r.tokens) && r.tokens[i].text == "}" {
			break
		}
	}
	return all
}

// end is the first comma, semicolon or closing bracket on the level of i.
func (r *jsReader) end(i int) int {
	level := 0
	for ; i < len(r.tokens); i++ {
		switch t := r.tokens[i].text; {
		case opens(t) || r.tokens[i].kind == js.TemplateStartToken:
			level++
		case r.tokens[i].kind == js.TemplateEndToken:
			level--
		case closes(t):
			if level == 0 {
				return i
			}
			level--
		case level == 0 && (t == "," || t == ";" || t == "export" || t == "const"):
			return i
		}
	}
	return i
}

func opens(t string) bool  { return t == "{" || t == "(" || t == "[" }
func closes(t string) bool { return t == "}" || t == ")" || t == "]" }

func (r *jsReader) source(i, end int) string {
	const most = 200 // tokens: the usual rewrite has fifteen
	var out strings.Builder
	for ; i < min(end, i+most) && i < len(r.tokens); i++ {
		out.WriteString(r.tokens[i].text)
		if out.Len() > 10*most {
			break
		}
	}
	return out.String()
}

// unquoteJS is the text of a string or a template without names. Escapes that
// Go does not share make it unknown.
func unquoteJS(text string) (string, bool) {
	if len(text) < 2 {
		return "", false
	}
	inner := text[1 : len(text)-1]
	if !strings.Contains(inner, `\`) {
		return inner, true
	}
	out, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.ReplaceAll(inner, `\/`, "/"), `\'`, "'") + `"`)
	return out, err == nil
}
