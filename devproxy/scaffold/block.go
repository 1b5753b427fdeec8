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

// attributes are lines of a Proxyfile, in order.
type attributes []attribute

// set adds an attribute, or replaces it.
func (list *attributes) set(name, value string) {
	for i := range *list {
		if (*list)[i].name == name {
			(*list)[i].value = value
			return
		}
	}
	*list = append(*list, attribute{name, value})
}

func (list attributes) get(name string) string {
	for _, a := range list {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

func (list attributes) write(out *strings.Builder) {
	for _, a := range list {
		fmt.Fprintf(out, "%s = %s\n", a.name, a.value)
	}
}

// block is what hosts and routes have in common.
type block struct {
	upstream string // as in a Proxyfile: a port, a URL or several of them
	attributes
	routes []route // of a host
	// service is the name of the service block that upstream becomes, with the
	// attributes in serves; empty writes upstream in place.
	service string
	serves  attributes
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
	match string // HCL; empty if none
	block
}

// answering are the attributes that answer a request, and those that belong to
// them.
var answering = []string{"files", "spa", "redirect", "respond", "status"}

// answers reports whether the block says how a request is answered.
func (b *block) answers() bool {
	return b.upstream != "" || b.get("files")+b.get("redirect")+b.get("respond") != ""
}

// setEntry sets a key of an attribute that is an object, such as request_headers.
func (b *block) setEntry(name, key, value string) {
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

// addRoute adds a route. The first of two routes for the same requests stays, and
// differs is true if the second one is different.
func (b *block) addRoute(r route) (differs bool) {
	for _, have := range b.routes {
		if have.path == r.path && have.exact == r.exact && have.match == r.match {
			return !reflect.DeepEqual(have, r)
		}
	}
	b.routes = append(b.routes, r)
	return false
}

// leadsTo reports whether upstream is one of the block's own members.
func (b *block) leadsTo(upstream string) bool {
	return slices.Contains(strings.Fields(b.upstream), upstream)
}

// routesTo reports whether a route of the block leads to upstream.
func (b *block) routesTo(upstream string) bool {
	return slices.ContainsFunc(b.routes, func(r route) bool { return r.leadsTo(upstream) })
}

// answer says in a few words how a route answers.
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

// target is the upstream as a host or a route refers to it.
func (b *block) target() string {
	if b.service != "" {
		return "service." + b.service
	}
	return upstreamValue(b.upstream)
}

// upstreamValue is an upstream in HCL: a port bare, several in a list, anything
// else quoted.
func upstreamValue(upstream string) string {
	several := strings.Fields(upstream)
	switch {
	case len(several) > 1:
		for i, one := range several {
			several[i] = upstreamValue(one)
		}
		return "[" + strings.Join(several, ", ") + "]"
	case portOf(upstream) != 0:
		return upstream
	}
	return hcl.Quote(upstream)
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

// render writes the Proxyfile of hosts; nil if there are none.
func render(hosts []*host) []byte {
	if len(hosts) == 0 {
		return nil
	}
	var out, services strings.Builder
	written := map[string]bool{}
	for i, h := range hosts {
		if i > 0 {
			out.WriteByte('\n')
		}
		h.write(&out)
		h.writeService(&services, written)
		for _, r := range h.routes {
			r.writeService(&services, written)
		}
	}
	return format(out.String() + services.String())
}

// format formats a Proxyfile. Text that cannot be formatted stays as it is, which
// shows the mistake.
func format(text string) []byte {
	formatted, _ := hcl.Format([]byte(text), "Proxyfile")
	return formatted
}

func (h *host) write(out *strings.Builder) {
	if len(h.aliases)+len(h.routes)+len(h.attributes) == 0 && h.what == "" && h.upstream != "" {
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
	h.attributes.write(out)
	for i, r := range h.routes {
		if i == 0 && (h.upstream != "" || len(h.attributes) > 0 || len(h.aliases) > 0) || r.long() || i > 0 && h.routes[i-1].long() {
			out.WriteByte('\n')
		}
		r.write(out)
	}
	out.WriteString("}\n")
}

// writeService writes the service block of b, unless one of its name is written.
func (b *block) writeService(out *strings.Builder, written map[string]bool) {
	if b.service == "" || written[b.service] {
		return
	}
	written[b.service] = true
	fmt.Fprintf(out, "\nservice %s {\nupstream = %s\n", hcl.Quote(b.service), upstreamValue(b.upstream))
	b.serves.write(out)
	out.WriteString("}\n")
}

// long reports whether a route needs more than one line.
func (r route) long() bool {
	return r.exact || r.match != "" || r.upstream != "" && len(r.attributes) > 0 || len(r.attributes) > 1
}

func (r route) write(out *strings.Builder) {
	var all attributes
	if r.upstream != "" {
		all.set("upstream", r.target())
	}
	if r.match != "" {
		all.set("match", r.match)
	}
	all = append(all, slices.DeleteFunc(slices.Clone(r.attributes), func(a attribute) bool { return !slices.Contains(answering, a.name) })...)
	if r.exact {
		all.set("exact", "true")
	}
	all = append(all, slices.DeleteFunc(slices.Clone(r.attributes), func(a attribute) bool { return slices.Contains(answering, a.name) })...)
	fmt.Fprintf(out, "route %s {", hcl.Quote(r.path))
	if !r.long() {
		fmt.Fprintf(out, " %s = %s }\n", all[0].name, all[0].value)
		return
	}
	out.WriteByte('\n')
	all.write(out)
	out.WriteString("}\n")
}
