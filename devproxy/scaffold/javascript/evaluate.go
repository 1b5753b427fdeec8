package javascript

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tdewolff/parse/v2/js"
)

// evaluate returns the value of the expression at i. It does not move the position.
func (p *Program) evaluate(i int) Value {
	defer func(pos int) { p.pos = pos }(p.pos)
	p.pos = i
	return p.expression()
}

// expression reads an expression.
func (p *Program) expression() Value {
	p.depth++
	p.steps++
	defer func() { p.depth-- }()
	start, line := p.pos, p.peek().line
	if p.depth > maxNesting || p.steps > maxSteps {
		p.skip()
		return Value{Line: line, Source: p.source(start)}
	}
	v := p.binary(0)
	if p.peek().text == "?" {
		v = p.conditional(v, p.source(start))
	}
	v.Line, v.Source = cmp.Or(v.Line, line), cmp.Or(v.Source, p.source(start))
	return v
}

// conditional reads the branches of "condition ? a : b", from the "?".
func (p *Program) conditional(condition Value, source string) Value {
	p.pos++
	yes := p.expression()
	if !p.take(":") {
		return Value{}
	}
	no := p.expression()
	truth, known := condition.truth()
	if !known {
		truth, known = guess(source)
	}
	switch {
	case !known:
		return Value{}
	case truth:
		return yes
	}
	return no
}

var (
	productionName  = regexp.MustCompile(`(?i)prod|build`)
	developmentName = regexp.MustCompile(`(?i)dev|serve`)
)

// guess guesses a condition by its name: the dev server runs in development.
func guess(source string) (truth, known bool) {
	negated := strings.HasPrefix(source, "!")
	if productionName.MatchString(source) {
		return negated, true
	}
	return !negated, developmentName.MatchString(source)
}

// operators are the binary operators by precedence, the loosest first.
var operators = [][]string{
	{"||", "??", "&&"},
	{"===", "==", "!==", "!=", "<", ">", "<=", ">=", "instanceof", "in"},
	{"+", "-", "*", "/", "%"},
}

// binary reads operands that operators of this precedence or a tighter one join.
func (p *Program) binary(level int) Value {
	if level == len(operators) {
		return p.unary()
	}
	v := p.binary(level + 1)
	for slices.Contains(operators[level], p.peek().text) {
		operator := p.peek()
		p.pos++
		v = operate(operator, v, p.binary(level+1))
	}
	return v
}

// operate returns the value of left OPERATOR right.
func operate(operator token, left, right Value) Value {
	truth, known := left.truth()
	switch operator.text {
	case "&&":
		if known && !truth {
			return left
		}
		return right
	case "||", "??":
		if truth || operator.text == "??" && known && left.Kind != Undefined {
			return left
		}
		right.fallback = true // also where left is unknown: this is what the file says
		return right
	case "===", "==", "!==", "!=":
		equal := operator.text[0] == '='
		switch {
		case left.Known() && right.Known():
			return boolean((left.Text == right.Text) == equal, operator.line)
		case left.Kind == Undefined && right.Known() || right.Kind == Undefined && left.Known():
			return boolean(!equal, operator.line)
		}
	case "+":
		a, b := left.integer(), right.integer()
		switch {
		case left.Known() && right.Known() && (left.Kind == String || right.Kind == String):
			return text(String, left.Text+right.Text, operator.line)
		case left.Kind == Number && right.Kind == Number && a >= 0 && b >= 0:
			return text(Number, strconv.Itoa(a+b), operator.line)
		}
	}
	return Value{}
}

// prefixes are the operators in front of an operand.
var prefixes = []string{"!", "+", "-", "typeof", "void", "delete", "await"}

// unary reads an operand with the operators in front of it.
func (p *Program) unary() Value {
	operator := p.peek()
	if !slices.Contains(prefixes, operator.text) {
		return p.postfix(p.primary())
	}
	p.pos++
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		p.skip()
		return Value{}
	}
	v := p.unary()
	truth, known := v.truth()
	switch {
	case operator.text == "!" && known:
		return boolean(!truth, operator.line)
	case operator.text == "+":
		return v.toNumber()
	case operator.text == "await":
		return v
	}
	return Value{}
}

// primary reads a literal, a name, brackets or a function.
func (p *Program) primary() Value {
	t, start := p.peek(), p.pos
	if t.text == "function" || t.text == "class" {
		return p.function()
	}
	if t.text == "(" || js.IsIdentifier(t.kind) {
		if f, ok := p.arrow(); ok {
			return f
		}
	}
	if p.done() || t.ends() {
		return Value{Line: t.line} // nothing is written here
	}
	p.pos++
	switch {
	case t.text == "{":
		p.pos = start
		return p.object()
	case t.text == "[":
		items := p.list("]")
		return Value{Kind: Array, Line: t.line, Items: items, Source: p.source(start)}
	case t.text == "(":
		v := p.expression()
		for p.take(",") { // the comma operator
			v = p.expression()
		}
		if !p.take(")") {
			p.pos = p.closing(start) + 1
			return Value{Line: t.line}
		}
		return v
	case t.text == "async" && p.peek().text == "function":
		return p.function()
	case t.kind == js.StringToken, t.kind == js.TemplateToken:
		if s, ok := unquote(t.text); ok {
			return text(String, s, t.line)
		}
	case t.kind == js.TemplateStartToken:
		p.pos = start
		return p.template()
	case js.IsNumeric(t.kind):
		return text(Number, strings.ReplaceAll(t.text, "_", ""), t.line)
	case t.kind == js.TrueToken, t.kind == js.FalseToken:
		return text(Bool, t.text, t.line)
	case t.text == "null", t.text == "undefined":
		return Value{Kind: Undefined, Line: t.line}
	case t.kind == js.NewToken && !p.done():
		return p.primary()
	case js.IsIdentifierName(t.kind):
		return p.identifier(t)
	}
	return Value{Line: t.line}
}

// postfix reads the text after the operand v: members, calls, and TypeScript's
// additions.
func (p *Program) postfix(v Value) Value {
	for !p.done() {
		t, next := p.peek(), p.token(p.pos+1)
		p.pos++
		switch {
		case (t.text == "." || t.text == "?.") && js.IsIdentifierName(next.kind):
			v = p.member(v, next.text, t.line)
			p.pos++
		case t.text == "?." && next.text != "":
		case t.text == "[":
			name := ""
			if items := p.list("]"); len(items) == 1 {
				name = items[0].Text
			}
			v = p.member(v, name, t.line)
		case t.text == "(":
			v = p.call(v, p.list(")"), t.line)
		case t.text == "!" && next.text != "=" && next.text != "==": // non-null assertion
		case t.text == "as" || t.text == "satisfies":
			p.skipType()
		case t.text == "<" && p.skipGeneric():
		case t.kind == js.TemplateToken:
			v = Value{}
		case t.kind == js.TemplateStartToken:
			p.pos--
			p.template()
			v = Value{}
		default:
			p.pos--
			return v
		}
	}
	return v
}

// skipGeneric skips type arguments after their "<", up to the "(" of the call. It
// returns false, and skips nothing, if the "<" compares.
func (p *Program) skipGeneric() bool {
	const most = 100
	level := 1
	for n := p.pos; n < min(p.pos+most, len(p.tokens)); n++ {
		switch t := p.tokens[n].text; t {
		case "<":
			level++
		case ">", ">>", ">>>":
			if level -= len(t); level <= 0 {
				if p.token(n+1).text == "(" {
					p.pos = n + 1
					return true
				}
				return false
			}
		case ";", ")", "&&", "||":
			return false
		}
	}
	return false
}

// skipType skips a type.
func (p *Program) skipType() {
	for ; !p.done(); p.pos++ {
		switch t := p.peek(); {
		case t.opens():
			p.pos = p.closing(p.pos)
		case t.ends() || slices.Contains([]string{"||", "??", "?", "===", "==", "as", "satisfies"}, t.text) || t.kind == js.ExportToken || t.kind == js.ConstToken:
			return
		}
	}
}

// member returns v.name.
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

// development are the environment variables that a dev server sets itself.
var development = map[string]Value{
	"NODE_ENV": text(String, "development", 0), "MODE": text(String, "development", 0),
	"DEV": boolean(true, 0), "PROD": boolean(false, 0), "SSR": boolean(false, 0),
}

// variable returns an environment variable while the dev server runs.
func (p *Program) variable(name string, line int) Value {
	v, known := development[name]
	if s, set := p.env(name); set {
		v = text(String, s, 0)
	} else if !known {
		v.Kind = Undefined
	}
	v.Line = line
	return v
}

var (
	numberCalls      = strings.Fields("parseInt Number Number.parseInt parseFloat Number.parseFloat")
	environmentCalls = strings.Fields("Deno.env.get env env.int env.get Env.get config.get configService.get env.port")
)

// call returns the value of v(items…).
func (p *Program) call(v Value, items []Value, line int) Value {
	first := Value{Kind: Undefined}
	if len(items) > 0 {
		first = items[0]
	}
	switch {
	case v.Known(): // "…".toString()
		return v
	case slices.Contains(numberCalls, v.Text):
		return first.toNumber()
	case v.Text == "String":
		if first.Known() {
			first.Kind = String
		}
		return first
	case v.Text == "loadEnv", v.Text == "Object.assign" && first.Kind == Environment:
		return Value{Kind: Environment, Line: line}
	case slices.Contains(environmentCalls, v.Text) && first.Kind == String:
		found := p.variable(first.Text, line)
		if found.Kind == Undefined && len(items) > 1 {
			found = items[1]
			found.fallback = true
		}
		return found
	case v.Kind == Function:
		if out := p.returned(v); out.Kind != Unknown {
			return out
		}
	}
	return Value{Kind: Call, Line: line, Text: v.Text, Items: items}
}
