package hcl

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// checkCall reports a function that does not exist.
func (s *scope) checkCall(call *hclsyntax.FunctionCallExpr, t *text) bool {
	if _, known := s.callable[call.Name]; known {
		return true
	}
	if slices.Contains([]string{"getenv", "get_env", "environ", "ENV", "process", "environment", "var"}, call.Name) {
		s.d.errorf(t.rangeOf(call.NameRange), "write env", "%s", environmentSummary)
		return false
	}
	names := sortedKeys(s.callable)
	s.d.errorf(t.rangeOf(call.NameRange), didYouMean(call.Name, names, "functions: "+strings.Join(names, ", ")), "there is no function %q", call.Name)
	return false
}

// resolve evaluates what reference refers to and puts it into objects, by the
// two names it is reached by.
func (s *scope) resolve(reference hcl.Traversal, t *text, objects map[string]map[string]cty.Value) bool {
	root := reference.RootName()
	nodes := map[string]map[string]*node{"local": s.locals, "service": s.services}[root]
	if root != "local" && root != "service" {
		s.unknownRoot(reference, t)
		return false
	}
	name, at, named := member(reference)
	if !named {
		// All of them: service[local.name], keys(local).
		good := true
		for _, name := range sortedKeys(nodes) {
			value := s.demand(nodes[name], t.rangeOf(reference.SourceRange()))
			objects[root][name] = value
			good = good && value.IsKnown()
		}
		return good
	}
	target := nodes[name]
	if target == nil {
		s.unknownMember(root, name, nodes, t.rangeOf(at))
		return false
	}
	value := s.demand(target, t.rangeOf(reference.SourceRange()))
	objects[root][name] = value
	if root == "service" && !s.checkServiceAttribute(name, value, reference, t) {
		return false
	}
	return value.IsKnown()
}

// member is the name behind the root of a reference, and its place.
func member(reference hcl.Traversal) (name string, at hcl.Range, found bool) {
	if len(reference) < 2 {
		return "", hcl.Range{}, false
	}
	switch step := reference[1].(type) {
	case hcl.TraverseAttr:
		at := step.SrcRange
		at.Start.Byte++ // the dot
		at.Start.Column++
		return step.Name, at, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String {
			return step.Key.AsString(), step.SrcRange, true
		}
	}
	return "", hcl.Range{}, false
}

// unknownMember reports service.apii and local.prot.
func (s *scope) unknownMember(root, name string, nodes map[string]*node, at Range) {
	names := sortedKeys(nodes)
	if len(names) == 0 {
		detail := fmt.Sprintf("write service %q { upstream = 3000 }", name)
		if root == "local" {
			detail = fmt.Sprintf("write locals { %s = … }", name)
		}
		s.d.errorf(at, detail, "no %s is named %q", root, name)
		return
	}
	detail := fmt.Sprintf("%ss: %s", root, strings.Join(names, ", "))
	if near := nearest(name, names); near != "" {
		where := fmt.Sprintf("line %d", nodes[near].at.Start.Line)
		if nodes[near].at.File != at.File {
			where = place(nodes[near].at)
		}
		detail = fmt.Sprintf("did you mean %q (%s)? %s", near, where, detail)
	}
	s.d.errorf(at, detail, "no %s is named %q", root, name)
}

// unknownRoot reports a reference that begins with a word of no meaning.
func (s *scope) unknownRoot(reference hcl.Traversal, t *text) {
	root := reference.RootName()
	at := t.rangeOf(reference.SourceRange())
	switch {
	case root == "tcp" || root == "udp":
		s.d.errorf(at, "it will be a stable local port", "%q is not built yet", root)
	case root == "path" || root == "rest" || root == "uri" || root == "1":
		s.d.errorf(at, "write {rest}: what follows the route's path", "there is no value named %q", root)
	case strings.EqualFold(root, "localhost"):
		s.d.errorf(at, "write 3000; 3000 is the port of your server", "an address is a string, a port a number")
	case root == "port":
		s.d.errorf(at, "write service.NAME.port", "there is no value named %q", root)
	case root == "yes" || root == "on" || root == "no" || root == "off":
		want := map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"}[root]
		s.d.errorf(at, "write "+want, "%q is no value", root)
	case s.services[root] != nil:
		s.d.errorf(at, "write service."+root, "there is no value named %q", root)
	case s.locals[root] != nil:
		s.d.errorf(at, "write local."+root, "there is no value named %q", root)
	case s.otherEnvironment(reference, t):
	default:
		detail := quotef("if it is a string, write %s", string(t.src[at.Start.Byte:at.End.Byte]))
		if near := nearest(root, []string{"local", "service", "true", "false", "null"}); near != "" && len(root) > 3 {
			detail = quotef("did you mean %s?", near)
		}
		s.d.errorf(at, detail, "there is no value named %q", root)
	}
}

// otherEnvironment reports a reference that is how other tools read a variable
// of the environment: process.env.PORT, env.PORT, ENV["PORT"], var.port, PORT.
func (s *scope) otherEnvironment(reference hcl.Traversal, t *text) bool {
	root := reference.RootName()
	at := t.rangeOf(reference.SourceRange())
	name := ""
	switch {
	case allCaps.MatchString(root) && len(reference) == 1:
		name = root
	case slices.Contains([]string{"process", "env", "ENV", "var", "import", "os", "Deno", "Bun", "config", "settings"}, root):
		name = "NAME"
		for _, step := range reference[1:] {
			switch step := step.(type) {
			case hcl.TraverseAttr:
				name = step.Name
			case hcl.TraverseIndex:
				if step.Key.Type() == cty.String {
					name = step.Key.AsString()
				}
			}
		}
		if root == "var" {
			name = strings.ToUpper(name)
		}
	default:
		return false
	}
	if before := t.src[:at.Start.Byte]; callsEnv.Match(before[max(0, len(before)-maxWord):]) {
		s.d.errorf(at, quotef("write %s", name), "the name of a variable is a string")
		return true
	}
	s.d.errorf(at, "write "+envCall(name, ""), "%s", environmentSummary)
	return true
}

var (
	allCaps  = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	callsEnv = regexp.MustCompile(`\benv\([ \t\r\n]*$`)
)
