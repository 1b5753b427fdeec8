package javascript

import (
	"bytes"
	"slices"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

const (
	// maxNesting is how deep expressions may nest: far more than in any
	// configuration.
	maxNesting = 60
	// maxSteps limits the work for one file. Names that are each used twice in the
	// declaration of the next would otherwise take exponential time.
	maxSteps = 200_000
)

// Program is a file of JavaScript or TypeScript. Its methods are an evaluator
// with a position among the tokens.
type Program struct {
	tokens []token
	pos    int // the next token to read
	env    func(name string) (string, bool)
	names  map[string]declaration
	memo   map[string]Value  // of names
	given  map[string]string // parameters of a configuration that is a function
	depth  int
	steps  int
}

// Give sets the parameter "command" or "mode" of a configuration that is a
// function. The defaults are "serve" and "development".
func (p *Program) Give(name, value string) { p.given[name] = value }

// declaration is where the value of a name comes from: the expression at value,
// or the member of it if member is not empty. otherwise is the expression of that
// member's default; 0 if it has none.
type declaration struct {
	value     int
	member    string
	otherwise int
	parameter bool // a member of a function's first parameter
}

// Parse reads src. env looks up an environment variable; nil means that none is
// set.
func Parse(src []byte, env func(name string) (string, bool)) *Program {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	p := &Program{
		tokens: tokens(src), env: env, names: map[string]declaration{}, memo: map[string]Value{},
		given: map[string]string{"mode": "development", "command": "serve"},
	}
	for i, t := range p.tokens {
		switch {
		case t.kind == js.ConstToken || t.kind == js.VarToken || t.text == "let":
			p.declare(i + 1)
		case t.text == "function" && js.IsIdentifier(p.token(i+1).kind):
			p.name(p.token(i+1).text, declaration{value: i})
		}
	}
	return p
}

// ParseJSON reads JSON with comments and trailing commas, and JSON5. ok is false
// if src does not begin with an object or an array.
func ParseJSON(src []byte) (value Value, ok bool) {
	value = Parse(src, nil).expression()
	return value, value.Kind == Object || value.Kind == Array
}

// token returns the token at i; the zero token after the end.
func (p *Program) token(i int) token {
	if i < len(p.tokens) {
		return p.tokens[i]
	}
	return token{}
}

// peek returns the token at the position.
func (p *Program) peek() token { return p.token(p.pos) }

// take skips the token at the position if it is text.
func (p *Program) take(text string) bool {
	if p.peek().text != text {
		return false
	}
	p.pos++
	return true
}

func (p *Program) done() bool { return p.pos >= len(p.tokens) }

// name declares a name. The first declaration wins.
func (p *Program) name(name string, d declaration) {
	if _, twice := p.names[name]; !twice {
		p.names[name] = d
	}
}

// declare takes the names of a declaration that begins at i: "port = 3000",
// "port: number = 3000", "{ PORT = 3000, HOST: host } = process.env".
func (p *Program) declare(i int) {
	if p.token(i).text == "{" {
		if end := p.closing(i); p.token(end+1).text == "=" {
			p.destructure(i, end, declaration{value: end + 2})
		}
		return
	}
	name := p.token(i).text
	for i++; i < len(p.tokens); i++ {
		switch t := p.tokens[i]; {
		case t.text == "=":
			p.name(name, declaration{value: i + 1})
			return
		case t.text == ";" || t.text == "}" || t.text == ")" || t.text == "of" || t.text == "in" || t.kind == js.ConstToken || t.kind == js.ExportToken:
			return
		case t.opens():
			i = p.closing(i)
		}
	}
}

// destructure takes the names between the braces at i and end.
func (p *Program) destructure(i, end int, of declaration) {
	for i++; i < end; i++ {
		if !js.IsIdentifier(p.tokens[i].kind) {
			continue
		}
		d, local := of, p.tokens[i].text
		d.member = local
		if p.tokens[i+1].text == ":" && i+2 < end {
			i += 2
			local = p.tokens[i].text
		}
		if p.tokens[i+1].text == "=" {
			d.otherwise = i + 2
		}
		p.name(local, d)
		for i < end && p.tokens[i].text != "," {
			if p.tokens[i].opens() {
				i = p.closing(i)
			}
			i++
		}
	}
}

// closing returns the bracket that closes the one at i; the last token if none
// does.
func (p *Program) closing(i int) int {
	level := 0
	for ; i < len(p.tokens); i++ {
		if p.tokens[i].opens() {
			level++
		} else if p.tokens[i].closes() {
			if level--; level <= 0 {
				return i
			}
		}
	}
	return max(len(p.tokens)-1, 0)
}

// identifier returns the value of a name alone.
func (p *Program) identifier(t token) Value {
	v := p.lookup(t.text, t.line)
	switch {
	case p.peek().text == "(" && v.Kind != Function: // the name of a call matters
		return Value{Line: t.line, Text: t.text}
	case v.Kind == Unknown:
		v.Text = t.text
	}
	return v
}

// lookup returns the value of the expression that a name is declared as. Each
// name is evaluated once.
func (p *Program) lookup(name string, line int) Value {
	if v, done := p.memo[name]; done {
		if line > 0 && v.Kind != Object && v.Kind != Function && v.Kind != Array {
			v.Line = line
		}
		return v
	}
	d, found := p.names[name]
	if !found {
		return p.parameter(name, line)
	}
	p.memo[name] = p.parameter(name, line) // while its own declaration is evaluated
	var v Value
	if !d.parameter {
		v = p.evaluate(d.value)
	}
	if d.member != "" {
		if v = p.member(v, d.member, line); v.Kind == Unknown {
			v = p.parameter(d.member, line)
		}
	}
	if d.otherwise > 0 && (v.Kind == Undefined || v.Kind == Unknown) {
		v = p.evaluate(d.otherwise)
		v.fallback = true
	}
	p.memo[name] = v
	return v
}

// parameter returns a parameter of a configuration that is a function, while the
// dev server runs.
func (p *Program) parameter(name string, line int) Value {
	if s, given := p.given[name]; given {
		return text(String, s, line)
	}
	return Value{Line: line}
}

// Exported returns the object that the file exports as its default or as
// module.exports. ok is false if it is unknown.
func (p *Program) Exported() (config Value, ok bool) {
	return Value{Kind: Array, Items: p.Exports()}.Object()
}

// Exports returns the value that the file exports as its default or as
// module.exports, which may be a list.
func (p *Program) Exports() []Value {
	var all []Value
	for i := range p.tokens {
		for _, export := range [][]string{{"export", "default"}, {".", "exports", "="}, {"exports", ".", "default", "="}} {
			if at := i + len(export); p.follow(i, export) {
				v := p.evaluate(at)
				if v.Kind == Function {
					v = p.returned(v)
				}
				all = append(all, v)
			}
		}
	}
	return all
}

// follow reports whether words are the tokens from i on.
func (p *Program) follow(i int, words []string) bool {
	rest := p.tokens[i:]
	return len(rest) >= len(words) && slices.EqualFunc(rest[:len(words)], words, func(t token, word string) bool { return t.text == word })
}

// Calls returns the calls whose name ends in one of names, such as "listen" or
// "Bun.serve", in the order of the file.
func (p *Program) Calls(names ...string) []Value {
	var all []Value
	for i, t := range p.tokens {
		if p.token(i+1).text != "(" || !js.IsIdentifierName(t.kind) {
			continue
		}
		full := t.text
		if i >= 2 && p.tokens[i-1].text == "." {
			full = p.tokens[i-2].text + "." + full
		}
		if slices.Contains(names, t.text) || slices.Contains(names, full) {
			p.steps, p.pos = 0, i+2
			all = append(all, Value{Kind: Call, Line: t.line, Text: full, Items: p.list(")")})
		}
	}
	return all
}

// returned evaluates the result of a function: its last return on the
// function's own level, else the first in a block if that is known.
func (p *Program) returned(f Value) Value {
	if f.body >= len(p.tokens) || f.body == 0 {
		return Value{}
	}
	if p.tokens[f.body].text != "{" {
		return p.evaluate(f.body)
	}
	level, last, nested := 0, 0, 0
	for i, end := f.body, p.closing(f.body); i < end; i++ {
		switch t := p.tokens[i]; {
		case t.text == "{":
			level++
		case t.text == "}":
			level--
		case t.kind == js.ReturnToken && level == 1:
			last = i
		case t.kind == js.ReturnToken && level == 2 && nested == 0:
			nested = i
		}
	}
	for _, at := range []int{last, nested} {
		if at == 0 {
			continue
		}
		v := p.evaluate(at + 1)
		if _, ok := v.Object(); ok || nested == 0 {
			return v
		}
	}
	return Value{}
}

// token is a token of JavaScript or TypeScript, and its line.
type token struct {
	kind js.TokenType
	text string
	line int
}

// maxRestarts is how often tokens skips a byte that is not JavaScript, such as
// the "@" of a decorator.
const maxRestarts = 20

// tokens splits src into tokens. The types of TypeScript are tokens too, and
// the evaluator skips them: a compiler would not find out more, and is larger
// than devproxy.
func tokens(src []byte) []token {
	var all []token
	line := 1
	for range maxRestarts + 1 {
		lexer, read := js.NewLexer(parse.NewInputBytes(slices.Clone(src))), 0
		for {
			kind, text := lexer.Next()
			if (kind == js.DivToken || kind == js.DivEqToken) && !endsValue(all) {
				if kind, text = lexer.RegExp(); kind == js.ErrorToken {
					read++
				}
			}
			if kind == js.ErrorToken {
				break
			}
			if !slices.Contains(space, kind) {
				all = append(all, token{kind, string(text), line})
			}
			read += len(text)
			line += bytes.Count(text, []byte("\n"))
		}
		if read >= len(src) {
			break
		}
		line += bytes.Count(src[read:read+1], []byte("\n"))
		src = src[read+1:]
	}
	return all
}

var space = []js.TokenType{js.WhitespaceToken, js.LineTerminatorToken, js.CommentToken, js.CommentLineTerminatorToken}

// endsValue reports whether a "/" after these tokens divides, and does not begin
// a regular expression.
func endsValue(before []token) bool {
	if len(before) == 0 {
		return false
	}
	last := before[len(before)-1]
	return last.closes() || js.IsIdentifier(last.kind) || js.IsNumeric(last.kind) || last.kind == js.StringToken || last.kind == js.TemplateToken
}

func (t token) opens() bool {
	return t.text == "{" || t.text == "(" || t.text == "[" || t.kind == js.TemplateStartToken
}

func (t token) closes() bool {
	return t.text == "}" || t.text == ")" || t.text == "]" || t.kind == js.TemplateEndToken
}

// ends reports whether t ends an element of a list: a separator or a closing
// bracket.
func (t token) ends() bool { return t.text == "," || t.text == ";" || t.closes() }
