package javascript

import (
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

// list evaluates what is separated by commas from i on, up to the bracket that
// closes it, and returns the token after that.
func (p *Program) list(i int, closing string) ([]Value, int) {
	var items []Value
	for i < len(p.tokens) && p.tokens[i].text != closing {
		if p.tokens[i].text == "," {
			i++
			continue
		}
		if p.tokens[i].text == "..." {
			i++
		}
		v, next := p.expression(i)
		items = append(items, v)
		i = max(p.after(i, next), i+1) // past a bracket that closes something else
	}
	return items, i + 1
}

// after is the comma or bracket that ends the element which began at start.
// What the evaluator did not understand is stepped over.
func (p *Program) after(start, next int) int {
	if next < len(p.tokens) && next > start && (p.tokens[next].text == "," || closes(p.tokens[next])) {
		return next
	}
	return p.skip(max(start, next))
}

// skip is the first comma, semicolon or closing bracket on the level of i.
func (p *Program) skip(i int) int {
	for i < len(p.tokens) {
		t := p.tokens[i]
		if t.text == "," || t.text == ";" || closes(t) {
			return i
		}
		if opens(t) {
			i = p.closing(i)
		}
		i++
	}
	return i
}

// objectAt evaluates the object whose brace is at i.
func (p *Program) objectAt(i int) (Value, int) {
	out := Value{Kind: Object, Line: p.tokens[i].line}
	start := i
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return Value{Line: out.Line}, p.closing(i) + 1
	}
	for i++; i < len(p.tokens) && p.tokens[i].text != "}"; {
		if p.tokens[i].text == "," {
			i++
			continue
		}
		before := i
		i = p.field(&out, i)
		if i <= before {
			i = before + 1
		}
	}
	out.Source = p.source(start, i+1)
	return out, i + 1
}

// field evaluates the member of an object that begins at i, and returns the
// token after it.
func (p *Program) field(out *Value, i int) int {
	t := p.tokens[i]
	if t.text == "..." {
		v, next := p.expression(i + 1)
		next = p.after(i+1, next)
		switch v.Kind {
		case Object:
			*out = merge(*out, v)
		case Environment:
			out.Kind = Environment
		case Bool, Undefined:
		default:
			out.Fields = append(out.Fields, Field{Value: Value{Line: t.line, Source: p.source(i, next)}})
		}
		return next
	}
	name, at := t.text, i+1
	switch {
	case t.kind == js.StringToken || t.kind == js.TemplateToken:
		name, _ = unquote(t.text)
	case t.text == "[":
		end := p.closing(i)
		v, _ := p.expression(i + 1)
		name, at = v.Text, end+1
	case (t.text == "async" || t.text == "get") && at < len(p.tokens) && js.IsIdentifierName(p.tokens[at].kind):
		name, at = p.tokens[at].text, at+1
	}
	if at >= len(p.tokens) {
		return at
	}
	switch p.tokens[at].text {
	case ":":
		v, next := p.expression(at + 1)
		next = p.after(at+1, next)
		v.Line = t.line
		if v.Source == "" {
			v.Source = p.source(at+1, next)
		}
		out.Fields = append(out.Fields, Field{name, v})
		return next
	case "(": // a method
		f, next := p.function(at - 1)
		out.Fields = append(out.Fields, Field{name, f})
		return next
	case ",", "}":
		v := p.lookup(name, t.line)
		v.Line = t.line
		if v.Source == "" {
			v.Source = name
		}
		out.Fields = append(out.Fields, Field{name, v})
		return at
	}
	next := p.skip(i)
	out.Fields = append(out.Fields, Field{Value: Value{Line: t.line, Source: p.source(i, next)}})
	return next
}

// function steps over "function name(…) {…}" and methods, beginning before the
// "(".
func (p *Program) function(i int) (Value, int) {
	start := i
	for i < len(p.tokens) && p.tokens[i].text != "(" && p.tokens[i].text != "{" {
		i++
	}
	f := Value{Kind: Function, Line: p.tokens[start].line, program: p}
	if i < len(p.tokens) && p.tokens[i].text == "(" {
		p.parameters(i)
		i = p.closing(i) + 1
		for i < len(p.tokens) && p.tokens[i].text != "{" {
			if p.tokens[i].text == "," || closes(p.tokens[i]) {
				return f, i
			}
			i++
		}
	}
	if i >= len(p.tokens) {
		return f, i
	}
	f.body = i
	next := p.closing(i) + 1
	f.Source = p.source(start, next)
	return f, next
}

// arrow reads an arrow function that begins at i.
func (p *Program) arrow(i int) (f Value, next int, ok bool) {
	start := i
	if p.tokens[i].text == "async" && i+1 < len(p.tokens) {
		i++
	}
	switch {
	case p.tokens[i].text == "(":
		open := i
		i = p.closing(i) + 1
		if i < len(p.tokens) && p.tokens[i].text == ":" { // the type of what it returns
			for n := i; n < min(i+30, len(p.tokens)); n++ {
				if p.tokens[n].text == "=>" {
					i = n
					break
				}
				if p.tokens[n].text == "," || p.tokens[n].text == ";" {
					break
				}
			}
		}
		if i < len(p.tokens) && p.tokens[i].text == "=>" {
			p.parameters(open)
		}
	case js.IsIdentifier(p.tokens[i].kind):
		i++
	}
	if i >= len(p.tokens) || i == start || p.tokens[i].text != "=>" {
		return Value{}, 0, false
	}
	f = Value{Kind: Function, Line: p.tokens[start].line, program: p, body: i + 1}
	if i+1 < len(p.tokens) && p.tokens[i+1].text == "{" {
		next = p.closing(i+1) + 1
	} else {
		next = p.skip(i + 1)
	}
	f.Source = p.source(start, next)
	return f, next, true
}

// parameters declares the names of ({ mode, command }) with the "(" at i.
func (p *Program) parameters(i int) {
	if i+1 < len(p.tokens) && p.tokens[i+1].text == "{" {
		p.destructure(i+1, p.closing(i+1), declared{value: i, parameter: true})
	}
}

// template evaluates `http://localhost:${port}` where every name in it is known.
func (p *Program) template(i int) (Value, int) {
	var out strings.Builder
	line, known := p.tokens[i].line, true
	for i < len(p.tokens) {
		t := p.tokens[i]
		switch t.kind {
		case js.TemplateStartToken, js.TemplateMiddleToken, js.TemplateEndToken:
			part := strings.TrimSuffix(strings.TrimSuffix(t.text[1:], "`"), "${")
			known = known && !strings.Contains(part, `\`)
			out.WriteString(part)
			i++
			if t.kind == js.TemplateEndToken {
				if !known {
					return Value{Line: line}, i
				}
				return text(String, out.String(), line), i
			}
		default:
			v, next := p.expression(i)
			known = known && v.Known()
			out.WriteString(v.Text)
			if next <= i {
				next = i + 1
			}
			i = next
			for i < len(p.tokens) && p.tokens[i].kind != js.TemplateMiddleToken && p.tokens[i].kind != js.TemplateEndToken {
				known = false
				i++
			}
		}
	}
	return Value{Line: line}, i
}

// maxSource is the longest Source, in bytes.
const maxSource = 2000

func (p *Program) source(i, end int) string {
	var out strings.Builder
	for ; i < min(end, len(p.tokens)) && out.Len() < maxSource; i++ {
		out.WriteString(p.tokens[i].text)
	}
	return out.String()
}
