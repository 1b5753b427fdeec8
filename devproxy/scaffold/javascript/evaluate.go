package javascript

import (
	"strconv"
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

// expression evaluates the expression that begins at i, and returns the token
// after it.
func (p *Program) expression(i int) (Value, int) {
	p.depth++
	p.steps++
	defer func() { p.depth-- }()
	if i >= len(p.tokens) {
		return Value{}, i
	}
	if p.depth > maxNesting || p.steps > maxSteps {
		return Value{Line: p.tokens[i].line, Source: p.source(i, p.skip(i))}, p.skip(i)
	}
	start := i
	v, i := p.either(i)
	if i < len(p.tokens) && p.tokens[i].text == "?" {
		v, i = p.conditional(v, p.source(start, i), i)
	}
	if v.Line == 0 {
		v.Line = p.tokens[start].line
	}
	if v.Source == "" {
		v.Source = p.source(start, i)
	}
	return v, i
}

// conditional evaluates the branches of "condition ? a : b" with the "?" at i.
func (p *Program) conditional(condition Value, source string, i int) (Value, int) {
	yes, i := p.expression(i + 1)
	if i >= len(p.tokens) || p.tokens[i].text != ":" {
		return Value{}, i
	}
	no, i := p.expression(i + 1)
	truth, known := condition.truth()
	if !known {
		truth, known = development(source)
	}
	switch {
	case !known:
		return Value{}, i
	case truth:
		return yes, i
	}
	return no, i
}

// development guesses a condition by its name: the dev server runs in
// development.
func development(source string) (truth, known bool) {
	negated := strings.HasPrefix(source, "!")
	name := strings.ToLower(source)
	switch {
	case strings.Contains(name, "prod") || strings.Contains(name, "build"):
		return negated, true
	case strings.Contains(name, "dev") || strings.Contains(name, "serve"):
		return !negated, true
	}
	return false, false
}

// either evaluates "a || b" and "a ?? b". Where a is not known, b is what the
// file says.
func (p *Program) either(i int) (Value, int) {
	v, i := p.compare(i)
	for i < len(p.tokens) {
		operator := p.tokens[i].text
		if operator != "||" && operator != "??" && operator != "&&" {
			break
		}
		var right Value
		right, i = p.compare(i + 1)
		truth, known := v.truth()
		switch {
		case operator == "&&" && known && !truth:
		case operator == "&&":
			v = right
		case operator == "??" && known && v.Kind != Undefined:
		case operator == "||" && truth:
		default:
			right.fallback = true
			v = right
		}
	}
	return v, i
}

func (p *Program) compare(i int) (Value, int) {
	v, i := p.sum(i)
	for i < len(p.tokens) {
		operator := p.tokens[i].text
		switch operator {
		case "===", "==", "!==", "!=":
		case "<", ">", "<=", ">=", "instanceof", "in":
			_, i = p.sum(i + 1)
			v = Value{}
			continue
		default:
			return v, i
		}
		line := p.tokens[i].line
		var right Value
		right, i = p.sum(i + 1)
		switch {
		case v.Known() && right.Known():
			v = boolean((v.Text == right.Text) == (operator[0] == '='), line)
		case v.Kind == Undefined && right.Known() || right.Kind == Undefined && v.Known():
			v = boolean(operator[0] != '=', line)
		default:
			v = Value{}
		}
	}
	return v, i
}

// sum evaluates "a + b" of strings and of numbers.
func (p *Program) sum(i int) (Value, int) {
	v, i := p.unary(i)
	for i < len(p.tokens) {
		operator := p.tokens[i].text
		if len(operator) != 1 || !strings.Contains("+-*/%", operator) || p.tokens[i].kind == js.TemplateMiddleToken {
			break
		}
		line := p.tokens[i].line
		var right Value
		right, i = p.unary(i + 1)
		a, b := number(v), number(right)
		switch {
		case operator == "+" && v.Known() && right.Known() && (v.Kind == String || right.Kind == String):
			v = text(String, v.Text+right.Text, line)
		case operator == "+" && v.Kind == Number && right.Kind == Number && a >= 0 && b >= 0:
			v = text(Number, strconv.Itoa(a+b), line)
		default:
			v = Value{}
		}
	}
	return v, i
}

// number is a whole number that is not negative; -1 where v is not one.
func number(v Value) int {
	n, err := strconv.ParseUint(v.Text, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

func (p *Program) unary(i int) (Value, int) {
	if i >= len(p.tokens) {
		return Value{}, i
	}
	line := p.tokens[i].line
	switch p.tokens[i].text {
	case "!":
		v, next := p.nested(i + 1)
		if truth, known := v.truth(); known {
			return boolean(!truth, line), next
		}
		return Value{}, next
	case "+":
		v, next := p.nested(i + 1)
		return toNumber(v), next
	case "-", "typeof", "void", "delete":
		_, next := p.nested(i + 1)
		return Value{}, next
	case "await":
		return p.nested(i + 1)
	}
	v, i := p.primary(i)
	return p.postfix(v, i)
}

func (p *Program) nested(i int) (Value, int) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return Value{}, p.skip(i)
	}
	return p.unary(i)
}

// toNumber is Number(v).
func toNumber(v Value) Value {
	if n := number(v); n >= 0 && v.Known() {
		out := text(Number, strconv.Itoa(n), v.Line)
		out.fallback = v.fallback
		return out
	}
	if v.Known() || v.Kind == Undefined {
		return text(Number, "NaN", v.Line)
	}
	return Value{}
}

// primary evaluates a literal, a name, brackets or a function.
func (p *Program) primary(i int) (Value, int) {
	t := p.tokens[i]
	v := Value{Line: t.line}
	switch {
	case t.text == "{":
		return p.objectAt(i)
	case t.text == "[":
		items, next := p.list(i+1, "]")
		return Value{Kind: Array, Line: t.line, Items: items, Source: p.source(i, next)}, next
	case t.text == "function" || t.text == "class":
		return p.function(i)
	case t.text == "(" || t.text == "async" || js.IsIdentifier(t.kind):
		if f, next, ok := p.arrow(i); ok {
			return f, next
		}
		if t.text == "async" && i+1 < len(p.tokens) && p.tokens[i+1].text == "function" {
			return p.function(i + 1)
		}
		if t.text == "(" {
			v, next := p.expression(i + 1)
			for next < len(p.tokens) && p.tokens[next].text == "," { // the comma operator
				v, next = p.expression(next + 1)
			}
			if next >= len(p.tokens) || p.tokens[next].text != ")" {
				return Value{Line: t.line}, p.closing(i) + 1
			}
			return v, next + 1
		}
	case t.kind == js.StringToken, t.kind == js.TemplateToken:
		if s, ok := unquote(t.text); ok {
			v = text(String, s, t.line)
		}
		return v, i + 1
	case t.kind == js.TemplateStartToken:
		return p.template(i)
	case js.IsNumeric(t.kind):
		return text(Number, strings.ReplaceAll(t.text, "_", ""), t.line), i + 1
	case t.kind == js.TrueToken, t.kind == js.FalseToken:
		return text(Bool, t.text, t.line), i + 1
	case t.text == "null":
		return Value{Kind: Undefined, Line: t.line}, i + 1
	case t.kind == js.NewToken && i+1 < len(p.tokens):
		return p.primary(i + 1)
	case closes(t) || t.text == "," || t.text == ";":
		return v, i // nothing is written here
	}
	if !js.IsIdentifierName(t.kind) {
		return v, i + 1
	}
	return p.identifier(i), i + 1
}

// identifier is the value of a name by itself.
func (p *Program) identifier(i int) Value {
	t := p.tokens[i]
	follow := ""
	if i+1 < len(p.tokens) {
		follow = p.tokens[i+1].text
	}
	if t.text == "undefined" {
		return Value{Kind: Undefined, Line: t.line}
	}
	if follow == "(" { // what is called matters by its name
		if v := p.lookup(t.text, t.line); v.Kind == Function {
			return v
		}
		return Value{Line: t.line, Text: t.text}
	}
	v := p.lookup(t.text, t.line)
	if v.Kind == Unknown {
		v.Text = t.text
	}
	return v
}

// lookup evaluates what a name is declared as, each once.
func (p *Program) lookup(name string, line int) Value {
	if v, done := p.memo[name]; done {
		if line > 0 && v.Kind != Object && v.Kind != Function && v.Kind != Array {
			v.Line = line
		}
		return v
	}
	d, found := p.names[name]
	if !found || p.pending[name] {
		return p.wellKnown(name, line)
	}
	p.pending[name] = true
	defer delete(p.pending, name)
	v, _ := p.expression(d.value)
	if d.parameter {
		v = Value{}
	}
	if d.member != "" {
		v = p.member(v, d.member, line)
	}
	if v.Kind == Unknown && d.member != "" {
		v = p.wellKnown(d.member, line)
	}
	if d.otherwise > 0 && (v.Kind == Undefined || v.Kind == Unknown) {
		v, _ = p.expression(d.otherwise)
		v.fallback = true
	}
	p.memo[name] = v
	return v
}

// wellKnown are the parameters of configurations that are functions, while the
// dev server runs.
func (p *Program) wellKnown(name string, line int) Value {
	if s, given := p.given[name]; given {
		return text(String, s, line)
	}
	return Value{Line: line}
}

// postfix evaluates members, calls and what TypeScript appends.
func (p *Program) postfix(v Value, i int) (Value, int) {
	for i < len(p.tokens) {
		t := p.tokens[i]
		switch {
		case (t.text == "." || t.text == "?.") && i+1 < len(p.tokens) && js.IsIdentifierName(p.tokens[i+1].kind):
			v = p.member(v, p.tokens[i+1].text, t.line)
			i += 2
		case t.text == "?." && i+1 < len(p.tokens):
			i++
		case t.text == "[":
			items, next := p.list(i+1, "]")
			name := ""
			if len(items) == 1 {
				name = items[0].Text
			}
			v = p.member(v, name, t.line)
			i = next
		case t.text == "(":
			items, next := p.list(i+1, ")")
			v = p.call(v, items, t.line)
			i = next
		case t.text == "!" && (i+1 >= len(p.tokens) || p.tokens[i+1].text != "=" && p.tokens[i+1].text != "=="):
			i++ // non-null assertion
		case t.text == "as" || t.text == "satisfies":
			i = p.typeEnd(i + 1)
		case t.text == "<":
			next := p.generic(i)
			if next == 0 {
				return v, i
			}
			i = next
		case t.kind == js.TemplateToken:
			v = Value{}
			i++
		case t.kind == js.TemplateStartToken:
			_, i = p.template(i)
			v = Value{}
		default:
			return v, i
		}
	}
	return v, i
}

// generic is the "(" after the type arguments that begin at i; 0 where "<"
// compares.
func (p *Program) generic(i int) int {
	level := 0
	const most = 100
	for n := i; n < len(p.tokens) && n < i+most; n++ {
		switch t := p.tokens[n].text; t {
		case "<":
			level++
		case ">", ">>", ">>>":
			if level -= len(t); level <= 0 {
				if n+1 < len(p.tokens) && p.tokens[n+1].text == "(" {
					return n + 1
				}
				return 0
			}
		case ";", ")", "&&", "||":
			return 0
		}
	}
	return 0
}

// typeEnd is the token after the type that begins at i.
func (p *Program) typeEnd(i int) int {
	for i < len(p.tokens) {
		switch t := p.tokens[i]; {
		case opens(t):
			i = p.closing(i)
		case closes(t), t.text == ",", t.text == ";", t.text == "||", t.text == "??", t.text == "?", t.text == "===", t.text == "==",
			t.text == "as", t.text == "satisfies", t.kind == js.ExportToken, t.kind == js.ConstToken:
			return i
		}
		i++
	}
	return i
}

// member is v.name.
func (p *Program) member(v Value, name string, line int) Value {
	full := v.Text + "." + name
	switch {
	case v.Kind == Environment && (name == "int" || name == "get"): // a helper of Strapi, AdonisJS or Deno
		return Value{Line: line, Text: "env." + name}
	case v.Kind == Environment:
		return p.variable(name, line)
	case v.Kind == Object:
		if f, ok := v.Field(name); ok {
			return f
		}
		return Value{Line: line}
	case full == "process.env", full == "meta.env", full == "Bun.env", full == "import.env":
		return Value{Kind: Environment, Line: line}
	case v.Known(): // a method of a string or number, such as toString or trim
		v.Source = "." + name
		return v
	case v.Kind == Call && (name == "parsed" || name == "env"):
		return Value{Kind: Environment, Line: line}
	case v.Kind == Unknown && v.Text != "":
		return Value{Line: line, Text: full}
	}
	return Value{Line: line, Text: name}
}

// variable is an environment variable while the dev server runs.
func (p *Program) variable(name string, line int) Value {
	if s, set := p.env(name); set {
		return text(String, s, line)
	}
	switch name {
	case "NODE_ENV", "MODE":
		return text(String, "development", line)
	case "DEV":
		return boolean(true, line)
	case "PROD", "SSR":
		return boolean(false, line)
	}
	return Value{Kind: Undefined, Line: line}
}

// call is v(items…).
func (p *Program) call(v Value, items []Value, line int) Value {
	first := Value{Kind: Undefined}
	if len(items) > 0 {
		first = items[0]
	}
	if v.Known() { // "…".toString()
		return v
	}
	switch v.Text {
	case "parseInt", "Number", "Number.parseInt", "parseFloat", "Number.parseFloat":
		return toNumber(first)
	case "String":
		if first.Known() {
			first.Kind = String
		}
		return first
	case "loadEnv", "Object.assign", "dotenv.config", "config":
		if v.Text == "loadEnv" || v.Text == "Object.assign" && first.Kind == Environment {
			return Value{Kind: Environment, Line: line}
		}
	case "Deno.env.get", "env", "env.int", "env.get", "Env.get", "config.get", "configService.get", "env.port":
		if first.Kind != String {
			break
		}
		found := p.variable(first.Text, line)
		if found.Kind == Undefined && len(items) > 1 {
			found = items[1]
			found.fallback = true
		}
		return found
	}
	if v.Kind == Function {
		if out := p.returned(v); out.Kind != Unknown {
			return out
		}
	}
	return Value{Kind: Call, Line: line, Text: v.Text, Items: items}
}
