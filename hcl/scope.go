package hcl

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// scope is what expressions can refer to. Locals and services are evaluated
// when something first refers to them, so that their order does not matter.
type scope struct {
	d         *decoder
	getenv    func(string) string
	port      int      // of url()
	hostNames []string // lower case, as labelled, and aliases where plain
	meter     *meter
	callable  map[string]function.Function

	locals map[string]*node
	// localAttrs is what locals are written as.
	localAttrs map[string]*attribute
	services   map[string]*node
	// path is what is being evaluated, outermost first.
	path []*node

	prepared map[hclsyntax.Expression]*preparation
	worn     bool // that the work is spent was reported
}

// node is a local or a service.
type node struct {
	title string // local.NAME
	at    Range  // where it is defined
	eval  func() cty.Value

	state nodeState
	value cty.Value // DynamicVal when there is a mistake in it
	used  bool
}

type nodeState int

const (
	untouched nodeState = iota
	evaluating
	evaluated
)

// maxChain bounds how many locals and services refer to each other in a row;
// each level is one of the stack.
const maxChain = 100

// preparation is what has to be known of an expression before meters hide
// parts of it.
type preparation struct {
	references []hcl.Traversal
	calls      []*hclsyntax.FunctionCallExpr
}

func (s *scope) prepare(expr hclsyntax.Expression) *preparation {
	if p := s.prepared[expr]; p != nil {
		return p
	}
	p := &preparation{references: expr.Variables()}
	visit(expr, func(node hclsyntax.Node) {
		if call, is := node.(*hclsyntax.FunctionCallExpr); is {
			p.calls = append(p.calls, call)
		}
	})
	// The parts of a list or an object are evaluated by themselves too.
	switch e := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		for _, element := range e.Exprs {
			s.prepare(element)
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			s.prepare(item.ValueExpr)
		}
	// So are those that shown looks at.
	case *hclsyntax.TemplateExpr:
		for _, part := range e.Parts {
			s.prepare(part)
		}
	case *hclsyntax.TemplateWrapExpr:
		s.prepare(e.Wrapped)
	case *hclsyntax.ParenthesesExpr:
		s.prepare(e.Expression)
	case *hclsyntax.FunctionCallExpr:
		for _, arg := range e.Args {
			s.prepare(arg)
		}
	}
	guardIndices(expr)
	guardOperands(expr)
	s.meter.install(expr)
	s.prepared[expr] = p
	return p
}

// value evaluates expr. A mistake is reported, once, and gives DynamicVal,
// which is unknown: nothing more is said of what is made of it.
func (s *scope) value(expr hclsyntax.Expression, t *text) cty.Value {
	if t.holed(expr.Range()) {
		return cty.DynamicVal
	}
	p := s.prepare(expr)
	ctx := &hcl.EvalContext{Functions: s.callable, Variables: map[string]cty.Value{}}
	good := true
	for _, call := range p.calls {
		good = s.checkCall(call, t) && good
	}
	objects := map[string]map[string]cty.Value{"local": {}, "service": {}}
	for _, reference := range p.references {
		good = s.resolve(reference, t, objects) && good
	}
	if !good {
		return cty.DynamicVal
	}
	for name, object := range objects {
		ctx.Variables[name] = cty.ObjectVal(object)
	}
	value, problems := expr.Value(ctx)
	for _, problem := range problems {
		if problem.Severity == hcl.DiagError {
			s.report(problem, expr, t, s.mayRead(p))
			return cty.DynamicVal
		}
	}
	if s.meter.left == 0 || !s.meter.spend(weight(value, s.meter.left)) {
		s.reportWork(expr, t)
		return cty.DynamicVal
	}
	if tooBig(value) {
		s.d.errorf(t.rangeOf(expr.Range()), "", "this number is too large")
		return cty.DynamicVal
	}
	return value
}

// tooBig reports whether v is or holds a number that has more digits than any
// use, or a division by zero; as text it would fill memory.
func tooBig(v cty.Value) bool {
	v, _ = v.Unmark()
	if v.IsNull() || !v.IsKnown() {
		return false
	}
	if v.Type() == cty.Number {
		const bits = 4096
		exponent := v.AsBigFloat().MantExp(nil)
		return v.AsBigFloat().IsInf() || exponent > bits || exponent < -bits
	}
	if v.CanIterateElements() {
		for it := v.ElementIterator(); it.Next(); {
			if _, element := it.Element(); tooBig(element) {
				return true
			}
		}
	}
	return false
}

// mayRead reports whether a value of the environment can be in what is said of
// an expression.
func (s *scope) mayRead(p *preparation) bool {
	for _, call := range p.calls {
		if call.Name == "env" {
			return true
		}
	}
	for _, reference := range p.references {
		for _, nodes := range []map[string]*node{s.locals, s.services} {
			name, _, named := member(reference)
			for other, n := range nodes {
				if n.state == evaluated && (!named || name == other) {
					if _, marks := n.value.UnmarkDeep(); len(marks) > 0 {
						return true
					}
				}
			}
		}
	}
	return false
}

// report says what is wrong with expr. The words of HCL and of functions quote
// values: where those can be of the environment, they are not used.
func (s *scope) report(problem *hcl.Diagnostic, expr hclsyntax.Expression, t *text, secret bool) {
	if strings.Contains(problem.Detail, errWork.Error()) {
		s.reportWork(expr, t)
		return
	}
	at := expr.Range()
	if problem.Subject != nil {
		at = *problem.Subject
	}
	summary, detail := sentence(problem.Summary), sentence(problem.Detail)
	if _, reason, found := strings.Cut(problem.Detail, " failed: "); found {
		summary, detail = sentence(reason), ""
	} else if _, reason, found := strings.Cut(problem.Detail, " parameter: "); found {
		summary, detail = sentence(reason), ""
	}
	// What a function has to say of the remedy stands behind a semicolon.
	if before, after, found := strings.Cut(summary, "; "); found && detail == "" {
		summary, detail = before, after
	}
	if strings.HasSuffix(summary, "EOF") {
		summary = "the text ends too early" // of jsondecode
	}
	quotes := !strings.HasPrefix(summary, unsetVariable) && strings.ContainsAny(summary+detail, "\"'`")
	if secret && (quotes || s.d.concealed.quotes(summary+detail)) {
		summary, detail = "this cannot be evaluated with the values of the environment", "check the variables that it uses"
	}
	s.d.errorf(t.rangeOf(at), detail, "%s", summary)
}

func (s *scope) reportWork(expr hclsyntax.Expression, t *text) {
	if !s.worn {
		s.d.errorf(t.rangeOf(expr.Range()), "write it simpler", "%v", errWork)
	}
	s.worn = true
}

// demand is the value of n, evaluated now if it is not yet. The reference at
// the given place asks for it.
func (s *scope) demand(n *node, at Range) cty.Value {
	n.used = true
	if n.state == evaluated {
		return n.value
	}
	if n.state == evaluating {
		s.d.errorf(at, s.cycle(n), "%s refers to itself", n.title)
		return cty.DynamicVal
	}
	if len(s.path) >= maxChain {
		s.d.errorf(at, "write it simpler", "more than %d values refer to each other in a row", maxChain)
		return cty.DynamicVal
	}
	n.state = evaluating
	s.path = append(s.path, n)
	n.value = n.eval()
	s.path = s.path[:len(s.path)-1]
	n.state = evaluated
	return n.value
}

// cycle is the way from n to itself.
func (s *scope) cycle(n *node) string {
	var steps []string
	for _, step := range s.path {
		if step == n || len(steps) > 0 {
			steps = append(steps, step.title)
		}
	}
	return strings.Join(append(steps, n.title), " -> ")
}
