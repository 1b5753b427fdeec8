package hcl

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// environment is what decoding needs to know about the world.
type environment struct {
	getenv func(name string) string
	// folder reports whether path exists and whether it is a folder.
	folder func(path string) (exists, isDir bool)
	// real returns path with links followed as far as it exists; nil leaves paths
	// as they are.
	real func(path string) string
	port int // of url(); 0 means the listen block's
	// ports are those of a service without an upstream; see Options.
	ports func(service string) (asked, actual uint16)
	// worktree is the linked worktree that the file is in, or nil.
	worktree *Worktree
	domains  []string // in which hosts may be, next to .localhost
}

// scope evaluates the expressions of a file. Locals and services are evaluated
// when something first refers to them, so that their order does not matter.
type scope struct {
	*reporter
	file      *File
	env       environment
	hostNames []string // lower case, as labelled
	meter     *meter
	callable  map[string]function.Function

	locals, services map[string]*node
	ports            map[Network]map[string]*node
	// origins are the first hosts that lead to each service as a whole.
	origins map[string]string
	// path lists the values being evaluated, outermost first.
	path []*node

	// relocation is where the hosts move; nil while that is not known, and in a main
	// worktree. relocating is true while it is being found out.
	relocation *Relocation
	relocating bool

	prepared  map[hclsyntax.Expression]*preparation
	exhausted bool // it was reported that the work is spent
	// flowed are the attributes that file.Flows has.
	flowed map[Range]bool
	// shownLocals counts to maxLocals.
	shownLocals int
}

func newScope(file *File, env environment) *scope {
	if env.ports == nil {
		env.ports = countedPorts()
	}
	s := &scope{
		reporter: &reporter{reported: map[Severity]int{}, secrets: newSecrets(env.getenv), domains: env.domains},
		file:     file, env: env, meter: &meter{left: maxWork},
		locals: map[string]*node{}, services: map[string]*node{}, ports: map[Network]map[string]*node{TCP: {}, UDP: {}}, origins: map[string]string{},
		prepared: map[hclsyntax.Expression]*preparation{}, flowed: map[Range]bool{},
	}
	s.callable = s.functions()
	return s
}

// nodes returns what references can refer to, by the word that they begin with.
func (s *scope) nodes() map[string]map[string]*node {
	return map[string]map[string]*node{"local": s.locals, "service": s.services, "tcp": s.ports[TCP], "udp": s.ports[UDP]}
}

// node is a local, a service or a port.
type node struct {
	title string     // local.NAME
	at    Range      // where it is defined
	attr  *attribute // of a local; the upstream of a service or the listen of a port, nil if it has none
	eval  func() cty.Value

	state nodeState
	value cty.Value // DynamicVal if there is a mistake in it
	used  bool
}

type nodeState int

const (
	untouched nodeState = iota
	evaluating
	evaluated
)

// maxChain bounds how many locals and services refer to each other in a row. Each
// of them needs stack.
const maxChain = 100

// demand returns the value of n and evaluates it first if needed. at is the place
// of the reference.
func (s *scope) demand(n *node, at Range) cty.Value {
	n.used = true
	if n.state == evaluated {
		return n.value
	}
	if n.state == evaluating {
		s.at(at).errorf(s.cycle(n), "%s refers to itself", n.title)
		return cty.DynamicVal
	}
	if len(s.path) >= maxChain {
		s.at(at).errorf("simplify it", "more than %d values refer to each other in a row", maxChain)
		return cty.DynamicVal
	}
	n.state = evaluating
	s.path = append(s.path, n)
	n.value = n.eval()
	s.path = s.path[:len(s.path)-1]
	n.state = evaluated
	return n.value
}

// cycle shows how n refers to itself.
func (s *scope) cycle(n *node) string {
	steps := mapped(s.path[slices.Index(s.path, n):], func(step *node) string { return step.title })
	return strings.Join(append(steps, n.title), " -> ")
}

// preparation is the knowledge about an expression that is needed before meters
// hide parts of it.
type preparation struct {
	references []hcl.Traversal
	calls      []*hclsyntax.FunctionCallExpr
}

// hasCall reports a call of a function.
func (p *preparation) hasCall(name string) bool {
	return slices.ContainsFunc(p.calls, func(call *hclsyntax.FunctionCallExpr) bool { return call.Name == name })
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
	for _, part := range partsOf(expr) {
		s.prepare(part)
	}
	guard(expr)
	s.meter.install(expr)
	s.prepared[expr] = p
	return p
}

// partsOf returns the parts of expr that are also evaluated on their own: elements
// of lists and objects, and what a display looks at.
func partsOf(expr hclsyntax.Expression) []hclsyntax.Expression {
	switch e := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		return e.Exprs
	case *hclsyntax.ObjectConsExpr:
		return mapped(e.Items, func(item hclsyntax.ObjectConsItem) hclsyntax.Expression { return item.ValueExpr })
	case *hclsyntax.TemplateExpr:
		return e.Parts
	case *hclsyntax.TemplateWrapExpr:
		return []hclsyntax.Expression{e.Wrapped}
	case *hclsyntax.ParenthesesExpr:
		return []hclsyntax.Expression{e.Expression}
	case *hclsyntax.FunctionCallExpr:
		return e.Args
	case *hclsyntax.ConditionalExpr:
		return []hclsyntax.Expression{e.Condition, e.TrueResult, e.FalseResult}
	case *hclsyntax.IndexExpr:
		return []hclsyntax.Expression{e.Collection, e.Key}
	}
	return nil
}

// value evaluates expr. A mistake is reported once and gives DynamicVal, which
// is unknown: nothing more is reported about values made of it.
func (s *scope) value(expr hclsyntax.Expression, t *text) cty.Value {
	if t.isRepaired(expr.Range()) {
		return cty.DynamicVal
	}
	p := s.prepare(expr)
	valid := true
	for _, call := range p.calls {
		valid = s.checkCall(call, t) && valid
	}
	objects := map[string]map[string]cty.Value{"local": {}, "service": {}, "tcp": {}, "udp": {}}
	for _, reference := range p.references {
		valid = s.resolve(reference, t, objects) && valid
	}
	if !valid {
		return cty.DynamicVal
	}
	ctx := &hcl.EvalContext{Functions: s.callable, Variables: map[string]cty.Value{}}
	for name, object := range objects {
		ctx.Variables[name] = cty.ObjectVal(object)
	}
	value, problems := expr.Value(ctx)
	for _, problem := range problems {
		if problem.Severity == hcl.DiagError {
			s.reportProblem(problem, expr, t, s.mayRead(p))
			return cty.DynamicVal
		}
	}
	if s.meter.left == 0 || !s.meter.spend(weight(value, s.meter.left)) {
		s.reportWork(expr, t)
		return cty.DynamicVal
	}
	if tooBig(value) {
		s.at(t.rangeOf(expr.Range())).errorf("", "this number is too large")
		return cty.DynamicVal
	}
	return value
}

// tooBig reports whether v contains a number with more digits than anyone needs,
// or a division by zero. As text it would fill the memory.
func tooBig(v cty.Value) bool {
	const bits = 4096
	for _, part := range cty.DeepValues(v) {
		part, _ = part.Unmark()
		if part.Type() != cty.Number || part.IsNull() || !part.IsKnown() {
			continue
		}
		exponent := part.AsBigFloat().MantExp(nil)
		if part.AsBigFloat().IsInf() || exponent > bits || exponent < -bits {
			return true
		}
	}
	return false
}

// mayRead reports whether a message about an expression can contain a value of
// the environment.
func (s *scope) mayRead(p *preparation) bool {
	if p.hasCall("env") {
		return true
	}
	for _, reference := range p.references {
		for _, nodes := range s.nodes() {
			name, _, named := member(reference)
			for other, n := range nodes {
				if n.state == evaluated && (!named || name == other) && n.value.ContainsMarked() {
					return true
				}
			}
		}
	}
	return false
}

// reportProblem reports the problem of expr. Messages of HCL and of functions
// quote values: they are not used if secret, when those may be secret.
func (s *scope) reportProblem(problem *hcl.Diagnostic, expr hclsyntax.Expression, t *text, secret bool) {
	if strings.Contains(problem.Detail, errWork.Error()) {
		s.reportWork(expr, t)
		return
	}
	at := expr.Range()
	if problem.Subject != nil {
		at = *problem.Subject
	}
	summary, detail := sentence(problem.Summary), sentence(problem.Detail)
	for _, before := range []string{" failed: ", " parameter: "} {
		if _, reason, found := strings.Cut(problem.Detail, before); found {
			summary, detail = sentence(reason), ""
			break
		}
	}
	// Our functions write the fix after a semicolon.
	if before, after, found := strings.Cut(summary, "; "); found && detail == "" {
		summary, detail = before, after
	}
	if strings.HasSuffix(summary, "EOF") {
		summary = "the text ends too early" // of jsondecode
	}
	quotes := !strings.HasPrefix(summary, unsetVariable) && strings.ContainsAny(summary+detail, "\"'`")
	if secret && (quotes || s.secrets.quotes(summary+detail)) {
		summary, detail = "this cannot be evaluated with the values of the environment", "check the variables that it uses"
	}
	s.at(t.rangeOf(at)).errorf(detail, "%s", summary)
}

func (s *scope) reportWork(expr hclsyntax.Expression, t *text) {
	if !s.exhausted {
		s.at(t.rangeOf(expr.Range())).errorf("simplify it", "%v", errWork)
	}
	s.exhausted = true
}

// absolute returns a path that may be relative to the Proxyfile.
func (s *scope) absolute(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.file.Dir, path)
}

// real returns path with links followed.
func (s *scope) real(path string) string {
	if s.env.real == nil || isRemote(path) {
		return path
	}
	return s.env.real(path)
}
