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
	at := s.at(t.rangeOf(call.NameRange))
	if slices.Contains([]string{"getenv", "get_env", "environ", "ENV", "process", "environment", "var"}, call.Name) {
		at.errorf("write env", "%s", environmentSummary)
		return false
	}
	names := sortedKeys(s.callable)
	at.errorf(didYouMean(call.Name, names, "functions: "+strings.Join(names, ", ")), "unknown function %q", call.Name)
	return false
}

// resolve evaluates what reference refers to and puts it into objects, by the two
// parts of its name.
func (s *scope) resolve(reference hcl.Traversal, t *text, objects map[string]map[string]cty.Value) bool {
	root := reference.RootName()
	nodes := s.nodes()[root]
	if nodes == nil {
		s.unknownRoot(reference, t)
		return false
	}
	name, at, named := member(reference)
	names := []string{name}
	switch {
	case !named: // all of them: service[local.name], keys(local)
		names = sortedKeys(nodes)
	case nodes[name] == nil:
		s.unknownMember(root, name, nodes, t.rangeOf(at))
		return false
	}
	valid := true
	for _, name := range names {
		if root == "service" && len(reference) > 2 && len(s.path) > 0 && s.path[len(s.path)-1] == nodes[name] {
			if what, _ := stepName(reference[2]); what == "port" {
				s.at(t.rangeOf(reference.SourceRange())).errorf("use {port}", "%s refers to itself", nodes[name].title)
				return false
			}
		}
		value := s.demand(nodes[name], t.rangeOf(reference.SourceRange()))
		objects[root][name] = value
		valid = valid && value.IsKnown()
	}
	switch {
	case !valid || !named || len(reference) < 3:
		return valid
	case root == "service":
		return s.checkServiceAttribute(name, objects[root][name], reference, t)
	case root != "local":
		return s.checkPortAttribute(root, reference[2], t)
	}
	return true
}

// member returns the name after the root of a reference, and its place.
func member(reference hcl.Traversal) (name string, at hcl.Range, found bool) {
	if len(reference) < 2 {
		return "", hcl.Range{}, false
	}
	name, found = stepName(reference[1])
	at = reference[1].SourceRange()
	if _, is := reference[1].(hcl.TraverseAttr); is {
		at.Start.Byte++ // the dot
		at.Start.Column++
	}
	return name, at, found
}

// stepName returns the name that a step of a reference selects.
func stepName(step hcl.Traverser) (name string, found bool) {
	switch step := step.(type) {
	case hcl.TraverseAttr:
		return step.Name, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String {
			return step.Key.AsString(), true
		}
	}
	return "", false
}

// checkServiceAttribute reports service.NAME.WORD if a service does not have WORD.
func (s *scope) checkServiceAttribute(name string, v cty.Value, reference hcl.Traversal, t *text) bool {
	if len(reference) < 3 {
		return true
	}
	step, is := reference[2].(hcl.TraverseAttr)
	if !is {
		return true
	}
	at := s.at(t.rangeOf(step.SrcRange))
	if names := []string{"port", "url", "origin"}; !slices.Contains(names, step.Name) {
		at.errorf(didYouMean(step.Name, names, "it has port, url and origin"), "a service has no attribute %q", step.Name)
		return false
	}
	switch {
	case v.Type().HasAttribute(step.Name):
	case step.Name == "origin":
		at.errorf("add upstream = service."+name+" to a host", "no host leads to service %q", name)
		return false
	default:
		at.errorf("it exists only for a service with one address that has a port", "service %q has no %s", name, step.Name)
		return false
	}
	return true
}

// unknownMember reports service.apii and local.prot.
func (s *scope) unknownMember(root, name string, nodes map[string]*node, at Range) {
	names := sortedKeys(nodes)
	detail := fmt.Sprintf("%ss: %s", root, strings.Join(names, ", "))
	if root == "tcp" || root == "udp" {
		detail = fmt.Sprintf("%s blocks: %s", root, strings.Join(names, ", "))
	}
	near := nearest(name, names)
	switch {
	case len(names) == 0 && root == "local":
		detail = fmt.Sprintf("write locals { %s = … }", name)
	case len(names) == 0:
		detail = fmt.Sprintf("write %s %q { upstream = 3000 }", root, name)
	case near != "":
		where := fmt.Sprintf("line %d", nodes[near].at.Start.Line)
		if nodes[near].at.File != at.File {
			where = nodes[near].at.line()
		}
		detail = fmt.Sprintf("did you mean %q (%s)? %s", near, where, detail)
	}
	s.at(at).errorf(detail, "unknown %s %q", root, name)
}

// unknownRoot reports a reference that begins with an unknown word.
func (s *scope) unknownRoot(reference hcl.Traversal, t *text) {
	root := reference.RootName()
	at := s.at(t.rangeOf(reference.SourceRange()))
	unknown := func(detail string) { at.errorf(detail, "unknown name %q", root) }
	meant := map[string]string{
		"path": restAdvice, "rest": restAdvice, "uri": restAdvice, "1": restAdvice, "port": "write service.NAME.port; the port of the command itself is {port}",
		"yes": "write true", "on": "write true", "no": "write false", "off": "write false",
	}[root]
	switch {
	case meant != "":
		unknown(meant)
	case strings.EqualFold(root, "localhost"):
		at.errorf("write 3000; 3000 is the port of your server", "an address must be a string, or a port a number")
	case s.services[root] != nil:
		unknown("write service." + root)
	case s.locals[root] != nil:
		unknown("write local." + root)
	case s.otherEnvironment(reference, t):
	default:
		detail := "if it is a string, " + suggest(t.written(reference.SourceRange()))
		if near := nearest(root, []string{"local", "service", "tcp", "udp", "true", "false", "null"}); near != "" && len(root) > 3 {
			detail = fmt.Sprintf("did you mean %q?", near)
		}
		unknown(detail)
	}
}

var (
	allCaps  = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	callsEnv = regexp.MustCompile(`\benv\([ \t\r\n]*$`)
)

// otherEnvironment reports a reference that other tools read a variable of the
// environment with: process.env.PORT, env.PORT, ENV["PORT"], var.port, PORT.
func (s *scope) otherEnvironment(reference hcl.Traversal, t *text) bool {
	root := reference.RootName()
	at := s.at(t.rangeOf(reference.SourceRange()))
	name := ""
	switch {
	case allCaps.MatchString(root) && len(reference) == 1:
		name = root
	case slices.Contains([]string{"process", "env", "ENV", "var", "import", "os", "Deno", "Bun", "config", "settings"}, root):
		name = "NAME"
		for _, step := range reference[1:] {
			if word, found := stepName(step); found {
				name = word
			}
		}
		if root == "var" {
			name = strings.ToUpper(name)
		}
	default:
		return false
	}
	if before := t.src[:at.Start.Byte]; callsEnv.Match(before[max(0, len(before)-maxWord):]) {
		at.errorf(suggest(name), "the name of a variable must be a string")
		return true
	}
	at.errorf("write "+envCall(name, ""), "%s", environmentSummary)
	return true
}
