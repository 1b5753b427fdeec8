package scaffold

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// attribute is a line of a Proxyfile. Its value is HCL.
type attribute struct{ name, value string }

// block is what a host and a route can say.
type block struct {
	upstream   string // as in a Proxyfile: a port, a URL or several of them
	attributes []attribute
	routes     []route // of a host
	// service names the service block that upstream becomes, with its attributes;
	// empty writes upstream in place.
	service string
	serves  []attribute
}

// host is a host block.
type host struct {
	name    string
	aliases []string
	what    string // a comment: "vite"
	block
	file string
	line int
}

// route is a route block.
type route struct {
	path  string
	exact bool
	match string // HCL; empty for none
	block
}

// set adds an attribute, or replaces it.
func (b *block) set(name, value string) { b.attributes = put(b.attributes, name, value) }

func (b *block) get(name string) string { return get(b.attributes, name) }

func put(list []attribute, name, value string) []attribute {
	for i := range list {
		if list[i].name == name {
			list[i].value = value
			return list
		}
	}
	return append(list, attribute{name, value})
}

func get(list []attribute, name string) string {
	for _, a := range list {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

func (b *block) unset(names ...string) {
	b.attributes = slices.DeleteFunc(b.attributes, func(a attribute) bool { return slices.Contains(names, a.name) })
}

// answers are the attributes that answer a request, with those that go with them.
var answers = []string{"files", "spa", "redirect", "respond", "status"}

// answers reports whether the block says how a request is answered.
func (b *block) answers() bool {
	return b.upstream != "" || b.get("files")+b.get("redirect")+b.get("respond") != ""
}

// entry sets a key of an attribute that is an object, such as request_headers.
func (b *block) entry(name, key, value string) {
	line := hcl.Quote(key) + " = " + value
	if plainKey(key) {
		line = key + " = " + value
	}
	have := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(b.get(name), "{"), "}"))
	switch {
	case have == "":
		b.set(name, "{ "+line+" }")
	case !slices.Contains(strings.Split(have, "\n"), line):
		b.set(name, "{\n"+have+"\n"+line+"\n}")
	}
}

func plainKey(key string) bool {
	for i, r := range key {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return key != ""
}

// is reports whether two routes have the same place.
func (r route) is(other route) bool {
	return r.path == other.path && r.exact == other.exact && r.match == other.match
}

// route adds a route. Of two with the same place the first stays, and different
// is true where they differ.
func (b *block) route(r route) (different bool) {
	for _, have := range b.routes {
		if have.is(r) {
			return !reflect.DeepEqual(have, r)
		}
	}
	b.routes = append(b.routes, r)
	return false
}

// answer is where the route leads, in a word.
func (r route) answer() string {
	if r.upstream != "" {
		return r.upstream
	}
	for _, name := range []string{"files", "redirect", "respond"} {
		if v := r.get(name); v != "" {
			return name + " " + v
		}
	}
	return "nothing"
}

func (h *host) write(out *strings.Builder) {
	plain := len(h.aliases) == 0 && h.what == "" && len(h.routes) == 0
	if plain && h.upstream != "" && len(h.attributes) == 0 {
		fmt.Fprintf(out, "host %s { upstream = %s }\n", hcl.Quote(h.name), h.target())
		return
	}
	fmt.Fprintf(out, "host %s {\n", hcl.Quote(h.name))
	if len(h.aliases) > 0 {
		quoted := make([]string, len(h.aliases))
		for i, a := range h.aliases {
			quoted[i] = hcl.Quote(a)
		}
		fmt.Fprintf(out, "aliases = [%s]\n", strings.Join(quoted, ", "))
	}
	if h.upstream != "" {
		fmt.Fprintf(out, "upstream = %s", h.target())
		if h.what != "" {
			fmt.Fprintf(out, " # %s", printable(h.what))
		}
		out.WriteByte('\n')
	}
	h.writeAttributes(out)
	for i, r := range h.routes {
		if i == 0 && (h.upstream != "" || len(h.attributes) > 0 || len(h.aliases) > 0) || r.long() || i > 0 && h.routes[i-1].long() {
			out.WriteByte('\n')
		}
		r.write(out)
	}
	out.WriteString("}\n")
}

// services are the service blocks of a host and its routes.
func (h *host) services() []*block {
	var list []*block
	if h.service != "" {
		list = append(list, &h.block)
	}
	for i := range h.routes {
		if h.routes[i].service != "" {
			list = append(list, &h.routes[i].block)
		}
	}
	return list
}

func (b *block) writeService(out *strings.Builder) {
	fmt.Fprintf(out, "service %s {\nupstream = %s\n", hcl.Quote(b.service), value(b.upstream))
	for _, a := range b.serves {
		fmt.Fprintf(out, "%s = %s\n", a.name, a.value)
	}
	out.WriteString("}\n")
}

// target is the upstream as it is written in a host or route.
func (b *block) target() string {
	if b.service != "" {
		return "service." + b.service
	}
	return value(b.upstream)
}

func (b *block) writeAttributes(out *strings.Builder) {
	for _, a := range b.attributes {
		fmt.Fprintf(out, "%s = %s\n", a.name, a.value)
	}
}

func (r route) long() bool {
	return r.exact || r.match != "" || r.upstream != "" && len(r.attributes) > 0 || len(r.attributes) > 1
}

func (r route) write(out *strings.Builder) {
	fmt.Fprintf(out, "route %s {", hcl.Quote(r.path))
	if !r.long() {
		if r.upstream != "" {
			fmt.Fprintf(out, " upstream = %s }\n", r.target())
			return
		}
		fmt.Fprintf(out, " %s = %s }\n", r.attributes[0].name, r.attributes[0].value)
		return
	}
	out.WriteByte('\n')
	if r.upstream != "" {
		fmt.Fprintf(out, "upstream = %s\n", r.target())
	}
	if r.match != "" {
		fmt.Fprintf(out, "match = %s\n", r.match)
	}
	answer := block{attributes: slices.DeleteFunc(slices.Clone(r.attributes), func(a attribute) bool { return !slices.Contains(answers, a.name) })}
	answer.writeAttributes(out)
	if r.exact {
		out.WriteString("exact = true\n")
	}
	r.unset(answers...)
	r.writeAttributes(out)
	out.WriteString("}\n")
}

// value is an upstream as it is written: a port bare, several in a list,
// anything else quoted.
func value(upstream string) string {
	if several := strings.Fields(upstream); len(several) > 1 {
		for i, one := range several {
			several[i] = value(one)
		}
		return "[" + strings.Join(several, ", ") + "]"
	}
	if portOf(upstream) != 0 {
		return upstream
	}
	return hcl.Quote(upstream)
}
