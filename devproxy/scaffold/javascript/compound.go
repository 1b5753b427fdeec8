package javascript

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

// list reads what commas separate, up to the closing bracket, and that bracket.
func (p *Program) list(closing string) []Value {
	var items []Value
	for !p.done() && p.peek().text != closing {
		if p.take(",") || p.take("...") {
			continue
		}
		start := p.pos
		items = append(items, p.expression())
		p.skip()
		p.pos = max(p.pos, start+1) // after a bracket that closes something else
	}
	p.pos++
	return items
}

// skip moves to the first comma, semicolon or closing bracket on this level: over
// the part of an element that the evaluator did not understand.
func (p *Program) skip() {
	for ; !p.done() && !p.peek().ends(); p.pos++ {
		if p.peek().opens() {
			p.pos = p.closing(p.pos)
		}
	}
}

// object reads an object.
func (p *Program) object() Value {
	start := p.pos
	out := Value{Kind: Object, Line: p.peek().line}
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		p.pos = p.closing(start) + 1
		return Value{Line: out.Line}
	}
	for p.pos++; !p.done() && p.peek().text != "}"; {
		if p.take(",") {
			continue
		}
		before := p.pos
		p.field(&out)
		p.pos = max(p.pos, before+1)
	}
	p.pos++
	out.Source = p.source(start)
	return out
}

// field reads a member into object.
func (p *Program) field(object *Value) {
	t, start := p.peek(), p.pos
	p.pos++
	if t.text == "..." {
		v := p.expression()
		p.skip()
		switch v.Kind {
		case Object:
			*object = merge(*object, v)
		case Environment:
			object.Kind = Environment
		case Bool, Undefined: // a condition that is false
		default:
			object.Fields = append(object.Fields, Field{Value: Value{Line: t.line, Source: p.source(start)}})
		}
		return
	}
	name := t.text
	switch {
	case t.kind == js.StringToken || t.kind == js.TemplateToken:
		name, _ = unquote(t.text)
	case t.text == "[":
		name = p.expression().Text
		p.pos = p.closing(start) + 1
	case (t.text == "async" || t.text == "get") && js.IsIdentifierName(p.peek().kind):
		name = p.peek().text
		p.pos++
	}
	var v Value
	switch at := p.pos; p.peek().text {
	case "":
		return
	case ":":
		p.pos++
		v = p.expression()
		p.skip()
		v.Line, v.Source = t.line, cmp.Or(v.Source, p.source(at+1))
	case "(": // a method
		p.pos--
		v = p.function()
	case ",", "}":
		v = p.lookup(name, t.line)
		v.Line, v.Source = t.line, cmp.Or(v.Source, name)
	default:
		p.pos = start
		p.skip()
		name, v = "", Value{Line: t.line, Source: p.source(start)}
	}
	object.Fields = append(object.Fields, Field{name, v})
}

// function reads a function or a method, from before its "(".
func (p *Program) function() Value {
	start := p.pos
	f := Value{Kind: Function, Line: p.peek().line, program: p}
	for !p.done() && p.peek().text != "(" && p.peek().text != "{" {
		p.pos++
	}
	if p.peek().text == "(" {
		p.parameters(p.pos)
		p.pos = p.closing(p.pos) + 1
		for !p.done() && p.peek().text != "{" {
			if p.peek().text == "," || p.peek().closes() {
				return f
			}
			p.pos++
		}
	}
	if p.done() {
		return f
	}
	f.body = p.pos
	p.pos = p.closing(p.pos) + 1
	f.Source = p.source(start)
	return f
}

// arrow reads an arrow function. ok is false, and nothing is read, if this is not
// one.
func (p *Program) arrow() (f Value, ok bool) {
	i := p.pos
	if p.peek().text == "async" {
		i++
	}
	open := i
	switch {
	case p.token(i).text == "(":
		i = p.resultType(p.closing(i) + 1)
	case js.IsIdentifier(p.token(i).kind):
		i++
	}
	if i == p.pos || p.token(i).text != "=>" {
		return Value{}, false
	}
	if p.token(open).text == "(" {
		p.parameters(open)
	}
	start := p.pos
	f = Value{Kind: Function, Line: p.peek().line, program: p, body: i + 1}
	p.pos = i + 1
	if p.peek().text == "{" {
		p.pos = p.closing(p.pos) + 1
	} else {
		p.skip()
	}
	f.Source = p.source(start)
	return f, true
}

// resultType returns the "=>" after the type of an arrow function's result, if
// one begins at i; otherwise i.
func (p *Program) resultType(i int) int {
	if p.token(i).text != ":" {
		return i
	}
	const most = 30
	n := slices.IndexFunc(p.tokens[i:min(i+most, len(p.tokens))], func(t token) bool { return t.text == "=>" || t.text == "," || t.text == ";" })
	if n >= 0 && p.token(i+n).text == "=>" {
		return i + n
	}
	return i
}

// parameters declares the names of ({ mode, command }), whose "(" is at i.
func (p *Program) parameters(i int) {
	if p.token(i+1).text == "{" {
		p.destructure(i+1, p.closing(i+1), declaration{value: i, parameter: true})
	}
}

// template reads `http://localhost:${port}`. Its value is known if those of all
// names in it are.
func (p *Program) template() Value {
	var out strings.Builder
	line, known, ended := p.peek().line, true, false
	for !ended && !p.done() {
		t := p.peek()
		if !templatePart(t) {
			start := p.pos
			v := p.expression()
			known = known && v.Known()
			out.WriteString(v.Text)
			for p.pos = max(p.pos, start+1); !p.done() && !templatePart(p.peek()); p.pos++ {
				known = false
			}
			continue
		}
		part := strings.TrimSuffix(strings.TrimSuffix(t.text[1:], "`"), "${")
		known = known && !strings.Contains(part, `\`)
		out.WriteString(part)
		p.pos++
		ended = t.kind == js.TemplateEndToken
	}
	if known && ended {
		return text(String, out.String(), line)
	}
	return Value{Line: line}
}

// templatePart reports whether t is a piece of a template between two names.
func templatePart(t token) bool {
	return t.kind == js.TemplateStartToken || t.kind == js.TemplateMiddleToken || t.kind == js.TemplateEndToken
}

// maxSource is the longest Source, in bytes.
const maxSource = 2000

// source returns the tokens from start up to the position as text.
func (p *Program) source(start int) string {
	var out strings.Builder
	for i := start; i < min(p.pos, len(p.tokens)) && out.Len() < maxSource; i++ {
		out.WriteString(p.tokens[i].text)
	}
	return out.String()
}
