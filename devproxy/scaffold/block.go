package scaffold

import (
	"fmt"
	"reflect"
	"regexp"
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

// block is what hosts and routes have in common.
type block struct {
	upstream string // as in a Proxyfile: a port, a URL or several of them
	attributes
	routes []route // of a host
	// service is the name of the service block that upstream becomes, with the
	// attributes in serves; empty writes upstream in place.
	service string
	serves  attributes
	// started is true if the service has a command, and is written elsewhere.
	started bool
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
	place
	match string // HCL; empty if none
	block
}

// place is where a route applies.
type place struct {
	path  string
	exact bool
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
	if !plainKey.MatchString(key) {
		key = quoted(key)
	}
	line := key + " = " + value
	have := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(b.get(name), "{"), "}"))
	switch {
	case have == "":
		b.set(name, "{ "+line+" }")
	case !slices.Contains(strings.Split(have, "\n"), line):
		b.set(name, "{\n"+have+"\n"+line+"\n}")
	}
}

// addRoute adds a route. The first of two routes for the same requests stays.
// differs reports whether the second one is different.
func (b *block) addRoute(r route) (differs bool) {
	for _, have := range b.routes {
		if have.place == r.place && have.match == r.match {
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

func quoted(text string) string { return hcl.Quote(text) }

// upstreamValue returns upstreams in HCL: ports bare, anything else quoted, several
// in a list.
func upstreamValue(upstreams string) string {
	list := strings.Fields(upstreams)
	for i, one := range list {
		if portOf(one) == 0 {
			list[i] = quoted(one)
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// plainKey matches keys that HCL needs no quotes for.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// render writes the Proxyfile of hosts; nil without hosts.
func render(hosts []*host, started []*startedService) []byte {
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
	for i, s := range started {
		s.write(&services, i == 0)
	}
	return format(out.String() + services.String())
}

// format formats a Proxyfile. Text that cannot be formatted stays unchanged,
// which shows the mistake.
func format(text string) []byte {
	formatted, _ := hcl.Format([]byte(text), "Proxyfile")
	return formatted
}

func (h *host) write(out *strings.Builder) {
	var all attributes
	if len(h.aliases) > 0 {
		var list []string
		for _, a := range h.aliases {
			list = append(list, quoted(a))
		}
		all.set("aliases", "["+strings.Join(list, ", ")+"]")
	}
	if h.upstream != "" || h.service != "" {
		target := h.target()
		if h.what != "" {
			target += " # " + printable(h.what)
		}
		all.set("upstream", target)
	}
	all = append(all, h.attributes...)
	short := len(all) == 1 && len(h.routes) == 0 && h.upstream+h.service != "" && h.what == ""
	writeBlock(out, "host "+quoted(h.name), all, h.routes, short)
}

// writeBlock writes a block, on one line if it is short.
func writeBlock(out *strings.Builder, head string, all attributes, routes []route, short bool) {
	if short {
		fmt.Fprintf(out, "%s { %s = %s }\n", head, all[0].name, all[0].value)
		return
	}
	fmt.Fprintf(out, "%s {\n", head)
	for _, a := range all {
		fmt.Fprintf(out, "%s = %s\n", a.name, a.value)
	}
	for i, r := range routes {
		if i == 0 && len(all) > 0 || r.long() || i > 0 && routes[i-1].long() {
			out.WriteByte('\n')
		}
		r.write(out)
	}
	out.WriteString("}\n")
}

// writeService writes the service block of b, unless one with that name is written.
func (b *block) writeService(out *strings.Builder, written map[string]bool) {
	if b.service != "" && !b.started && !written[b.service] {
		written[b.service] = true
		out.WriteByte('\n')
		writeBlock(out, "service "+quoted(b.service), append(attributes{{"upstream", upstreamValue(b.upstream)}}, b.serves...), nil, false)
	}
}

// long reports whether a route needs more than one line.
func (r route) long() bool {
	return r.exact || r.match != "" || r.upstream != "" && len(r.attributes) > 0 || len(r.attributes) > 1
}

func (r route) write(out *strings.Builder) {
	var all, others attributes
	if r.upstream != "" || r.service != "" {
		all.set("upstream", r.target())
	}
	if r.match != "" {
		all.set("match", r.match)
	}
	for _, a := range r.attributes {
		if slices.Contains(answering, a.name) {
			all.set(a.name, a.value)
		} else {
			others.set(a.name, a.value)
		}
	}
	if r.exact {
		all.set("exact", "true")
	}
	writeBlock(out, "route "+quoted(r.path), append(all, others...), nil, !r.long())
}
