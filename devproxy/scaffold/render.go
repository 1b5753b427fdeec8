package scaffold

import (
	"fmt"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

func (d *draft) result() *Result {
	r := &Result{Found: d.found, Notes: d.notes, Host: d.project + suffix}
	if len(d.hosts) == 0 {
		return r
	}
	var out strings.Builder
	for i, h := range d.hosts {
		if i > 0 {
			out.WriteByte('\n')
		}
		h.write(&out)
	}
	// What cannot be formatted is returned as it is, and shows the fault.
	r.Text, _ = hcl.Format([]byte(out.String()), "Proxyfile")
	return r
}

func (h *host) write(out *strings.Builder) {
	if len(h.routes) == 0 && h.what == "" && !h.cors && !h.compress && h.files == "" {
		fmt.Fprintf(out, "host %s { upstream = %s }\n", hcl.Quote(h.name), value(h.upstream))
		return
	}
	fmt.Fprintf(out, "host %s {\n", hcl.Quote(h.name))
	if h.upstream != "" {
		fmt.Fprintf(out, "upstream = %s", value(h.upstream))
		if h.what != "" {
			fmt.Fprintf(out, " # %s", h.what)
		}
		out.WriteByte('\n')
	}
	if h.files != "" {
		fmt.Fprintf(out, "files = %s\n", hcl.Quote(h.files))
	}
	if h.cors {
		out.WriteString("cors = true\n")
	}
	if h.compress {
		out.WriteString("compress = true\n")
	}
	for i, r := range h.routes {
		if i == 0 && (h.upstream != "" || h.files != "") || r.long() || i > 0 && h.routes[i-1].long() {
			out.WriteByte('\n')
		}
		r.write(out)
	}
	out.WriteString("}\n")
}

func (r route) long() bool {
	return r.strip || r.skipVerify || r.exact || r.rewrite != "" || r.redirect != "" && r.status != 0
}

func (r route) write(out *strings.Builder) {
	if !r.long() {
		fmt.Fprintf(out, "route %s { %s }\n", hcl.Quote(r.path), r.assignment())
		return
	}
	fmt.Fprintf(out, "route %s {\n%s\n", hcl.Quote(r.path), r.assignment())
	if r.redirect != "" && r.status != 0 {
		fmt.Fprintf(out, "status = %d\n", r.status)
	}
	if r.exact {
		out.WriteString("exact = true\n")
	}
	if r.strip {
		out.WriteString("strip_prefix = true\n")
	}
	if r.rewrite != "" {
		fmt.Fprintf(out, "rewrite = %s\n", hcl.Quote(r.rewrite))
	}
	if r.skipVerify {
		out.WriteString("tls_skip_verify = true\n")
	}
	out.WriteString("}\n")
}

// assignment is the attribute that answers.
func (r route) assignment() string {
	switch {
	case r.files != "":
		return "files = " + hcl.Quote(r.files)
	case r.redirect != "":
		return "redirect = " + hcl.Quote(r.redirect)
	case r.respond && r.body == "":
		return fmt.Sprintf("respond = %d", r.status)
	case r.respond:
		return fmt.Sprintf("respond = { status = %d, body = %s }", r.status, hcl.Quote(r.body))
	}
	return "upstream = " + value(r.upstream)
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
