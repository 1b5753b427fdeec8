package plan

import (
	"fmt"
	"strings"
)

// String is the plan in a stable form for people and golden files: everything
// that decides how requests are answered, nothing of where it is written.
func (p *Plan) String() string {
	var out strings.Builder
	for _, h := range p.hosts {
		fmt.Fprintf(&out, "host %s\n", strings.Join(append([]string{h.Name}, h.Aliases...), " "))
		for _, r := range h.Routes {
			fmt.Fprintf(&out, "  route %s\n", r.Label())
			for _, line := range r.settings() {
				fmt.Fprintf(&out, "    %s\n", line)
			}
		}
	}
	return out.String()
}

// settings lists what the route does, one line a setting.
func (r *Route) settings() []string {
	lines := describe(r.Answer)
	add := func(said bool, format string, args ...any) {
		if said {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	add(r.TryFiles != nil, "try_files %s", tryFilesText(r))
	add(r.StripPrefix, "strip_prefix")
	add(r.Rewrite != "", "rewrite %s", r.Rewrite)
	for _, h := range r.RequestHeaders {
		add(true, "request_header %s", h)
	}
	for _, h := range r.ResponseHeaders {
		add(true, "response_header %s", h)
	}
	add(r.ForwardedHTTP, "forwarded_proto %s", r.forwardedProto())
	add(r.Timeout != 0, "timeout %s", r.Timeout)
	add(r.Hold != DefaultHold, "hold %s", r.Hold)
	return append(lines, r.around()...)
}

// around lists what is put around the answer, in the order in which a request
// meets it.
func (r *Route) around() []string {
	var lines []string
	add := func(there bool, name, text string) {
		if there {
			lines = append(lines, name+text)
		}
	}
	add(r.Access.String() != "", "", r.Access.String())
	add(r.RateLimit != nil, "rate_limit ", said(r.RateLimit))
	add(r.CORS != nil, "cors ", said(r.CORS))
	add(r.Users != nil, "basic_auth ", userNames(r.Users))
	add(r.MaxBody != 0, "max_body ", bodySize(r))
	add(r.Compress, "compress", "")
	add(r.Cache != nil, "cache ", said(r.Cache))
	add(r.Simulate != nil, "simulate ", said(r.Simulate))
	return lines
}

func describe(a Answer) []string {
	switch a := a.(type) {
	case *Upstream:
		var lines []string
		for _, m := range a.Members {
			lines = append(lines, "upstream "+m.key())
		}
		return append(lines, a.spread()...)
	case *Files:
		if a.SPA {
			return []string{a.String() + " spa"}
		}
	case *Redirect:
		return []string{fmt.Sprintf("redirect %d %s", a.Status, a.Target)}
	case *Respond:
		lines := []string{fmt.Sprintf("respond %d %q", a.Status, a.Body)}
		for _, h := range a.Headers {
			lines = append(lines, "respond_header "+h.String())
		}
		return lines
	}
	return []string{a.String()}
}

// spread lists how requests are spread over members, where it is not the usual
// way.
func (u *Upstream) spread() []string {
	var lines []string
	if u.Balance != BalanceRoundRobin {
		lines = append(lines, "balance "+string(u.Balance))
	}
	if u.Health != nil {
		lines = append(lines, "health "+u.Health.spec())
	}
	for _, m := range u.Fallback {
		lines = append(lines, "fallback "+m.key())
	}
	return lines
}

// String is the field as it is sent, or its name after a "-" when it is removed.
func (h Header) String() string {
	if h.Remove {
		return "-" + h.Name
	}
	return h.Name + ": " + h.Value
}
