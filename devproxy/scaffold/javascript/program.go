package javascript

import (
	"github.com/tdewolff/parse/v2/js"
)

const (
	// maxNesting is how deep expressions may nest: far more than any
	// configuration.
	maxNesting = 60
	// maxSteps bounds the work for one file: a name that is used twice in each of
	// many declarations costs twice as much each time.
	maxSteps = 200_000
)

// Program is a file.
type Program struct {
	tokens  []token
	env     func(name string) (string, bool)
	names   map[string]declared
	memo    map[string]Value
	pending map[string]bool
	given   map[string]string // parameters of a configuration that is a function
	depth   int
	steps   int
}

// Give sets the parameter "command" or "mode" of a configuration that is a
// function. Without it they are "serve" and "development".
func (p *Program) Give(name, value string) { p.given[name] = value }

// declared is where the value of a name comes from: the expression at value, or
// the member of it where member is not empty; otherwise is a default for that.
type declared struct {
	value     int
	member    string
	otherwise int
	parameter bool // a member of a function's first parameter
}

// Parse reads src. env returns the value of an environment variable; nil means
// that none is set.
func Parse(src []byte, env func(name string) (string, bool)) *Program {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	p := &Program{tokens: tokens(src), env: env, names: map[string]declared{}, memo: map[string]Value{}, pending: map[string]bool{}, given: map[string]string{"mode": "development", "command": "serve"}}
	for i, t := range p.tokens {
		switch {
		case t.kind == js.ConstToken || t.kind == js.VarToken || t.text == "let":
			p.declare(i + 1)
		case t.text == "function" && i+1 < len(p.tokens) && js.IsIdentifier(p.tokens[i+1].kind):
			p.name(p.tokens[i+1].text, declared{value: i})
		}
	}
	return p
}

// ParseJSON reads JSON with comments and trailing commas, and JSON5. ok is false
// where src does not begin with an object or an array.
func ParseJSON(src []byte) (value Value, ok bool) {
	p := Parse(src, nil)
	if len(p.tokens) == 0 {
		return Value{}, false
	}
	value, _ = p.expression(0)
	return value, value.Kind == Object || value.Kind == Array
}

func (p *Program) name(name string, d declared) {
	if _, twice := p.names[name]; !twice {
		p.names[name] = d
	}
}

// declare takes the names of a declaration that begins at i: "port = 3000",
// "port: number = 3000", "{ PORT = 3000, HOST: host } = process.env".
func (p *Program) declare(i int) {
	if i >= len(p.tokens) {
		return
	}
	if p.tokens[i].text == "{" {
		end := p.closing(i)
		if end+1 < len(p.tokens) && p.tokens[end+1].text == "=" {
			p.destructure(i, end, declared{value: end + 2})
		}
		return
	}
	name := p.tokens[i].text
	for i++; i < len(p.tokens); i++ {
		switch t := p.tokens[i]; {
		case t.text == "=":
			p.name(name, declared{value: i + 1})
			return
		case t.text == ";" || t.text == "}" || t.text == ")" || t.text == "of" || t.text == "in" || t.kind == js.ConstToken || t.kind == js.ExportToken:
			return
		case opens(t):
			i = p.closing(i)
		}
	}
}

// destructure takes the names between the braces at i and end.
func (p *Program) destructure(i, end int, of declared) {
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
			if opens(p.tokens[i]) {
				i = p.closing(i)
			}
			i++
		}
	}
}

// closing is the bracket that closes the one at i; the last token where none
// does.
func (p *Program) closing(i int) int {
	level := 0
	for ; i < len(p.tokens); i++ {
		if opens(p.tokens[i]) {
			level++
		} else if closes(p.tokens[i]) {
			if level--; level <= 0 {
				return i
			}
		}
	}
	return max(len(p.tokens)-1, 0)
}

// Exported returns the object that the file exports as its default or as
// module.exports, through defineConfig({…}), a function that returns it, or a
// name. ok is false where it is not an object that can be known.
func (p *Program) Exported() (config Value, ok bool) {
	for _, v := range p.Exports() {
		if config, ok = p.object(v, 0); ok {
			return config, true
		}
	}
	return Value{}, false
}

// Exports returns what the file exports as its default or as module.exports,
// which may be a list.
func (p *Program) Exports() []Value {
	var all []Value
	for i := 0; i+2 < len(p.tokens); i++ {
		a, b := p.tokens[i], p.tokens[i+1]
		at := 0
		switch {
		case a.kind == js.ExportToken && b.kind == js.DefaultToken:
			at = i + 2
		case a.text == "." && b.text == "exports" && p.tokens[i+2].text == "=":
			at = i + 3
		case a.text == "exports" && b.text == "." && i+4 < len(p.tokens) && p.tokens[i+2].text == "default" && p.tokens[i+3].text == "=":
			at = i + 4
		default:
			continue
		}
		v, _ := p.expression(at)
		if v.Kind == Function {
			v = p.returned(v)
		}
		all = append(all, v)
	}
	return all
}

// object finds the object in a call, and in what a function returns.
func (p *Program) object(v Value, depth int) (Value, bool) {
	if depth > maxNesting {
		return Value{}, false
	}
	switch v.Kind {
	case Object:
		return v, true
	case Array: // several configurations; the first with a dev server is meant
		for _, item := range v.Items {
			if o, ok := p.object(item, depth+1); ok {
				return o, true
			}
		}
	case Function:
		return p.object(p.returned(v), depth+1)
	case Call:
		out, ok := Value{}, false
		for _, item := range v.Items {
			if o, found := p.object(item, depth+1); found {
				out, ok = merge(out, o), true
			}
		}
		return out, ok
	}
	return Value{}, false
}

// returned is what a function returns: the last return of its own level, else
// the first that can be known inside of it.
func (p *Program) returned(f Value) Value {
	if f.body >= len(p.tokens) || f.body == 0 {
		return Value{}
	}
	if p.tokens[f.body].text != "{" {
		v, _ := p.expression(f.body)
		return v
	}
	end, level := p.closing(f.body), 0
	last, nested := 0, 0
	for i := f.body; i < end; i++ {
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
		v, _ := p.expression(at + 1)
		if _, ok := p.object(v, 0); ok || nested == 0 {
			return v
		}
	}
	return Value{}
}

// Calls returns the calls whose name ends in one of names, such as "listen" or
// "Bun.serve", in the order of the file.
func (p *Program) Calls(names ...string) []Value {
	var all []Value
	for i := 0; i+1 < len(p.tokens); i++ {
		if p.tokens[i+1].text != "(" || !js.IsIdentifierName(p.tokens[i].kind) {
			continue
		}
		full := p.tokens[i].text
		if i >= 2 && p.tokens[i-1].text == "." {
			full = p.tokens[i-2].text + "." + full
		}
		for _, name := range names {
			if p.tokens[i].text == name || full == name {
				p.steps = 0
				items, _ := p.list(i+2, ")")
				all = append(all, Value{Kind: Call, Line: p.tokens[i].line, Text: full, Items: items})
				break
			}
		}
	}
	return all
}

// Name returns the value of a name declared in the file.
func (p *Program) Name(name string) Value { return p.lookup(name, 0) }

// Result returns the object that a function returns; ok is false where it cannot
// be known.
func (v Value) Result() (object Value, ok bool) {
	if v.Kind != Function || v.program == nil {
		return Value{}, false
	}
	return v.program.object(v, 0)
}
