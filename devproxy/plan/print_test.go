package plan

import (
	"fmt"
	"strings"
)

// String returns the plan in a stable form: everything that decides how requests
// are answered, and not where it is written.
func (p *Plan) String() string {
	var out strings.Builder
	for _, h := range p.hosts {
		fmt.Fprintf(&out, "host %s\n", strings.Join(h.names(), " "))
		for _, r := range h.Routes {
			fmt.Fprintf(&out, "  route %s\n", r.Label())
			for _, line := range r.lines() {
				fmt.Fprintf(&out, "    %s\n", line)
			}
		}
	}
	return out.String()
}

// lines describes the route, with one line for each setting.
func (r *Route) lines() []string {
	usual := map[string]string{"forwarded_proto": "https", "timeout": "0s", "hold": DefaultHold.String()}
	lines := answerLines(r.Answer)
	for _, s := range r.settings() {
		if s.text != usual[s.name] {
			lines = append(lines, s.name+" "+s.text)
		}
	}
	return lines
}

// answerLines describes all of an answer.
func answerLines(a Answer) []string {
	lines := []string{a.String()}
	switch a := a.(type) {
	case *Upstream:
		lines = nil
		for _, m := range a.Members {
			lines = append(lines, "upstream "+m.key())
		}
		lines = append(lines, a.spread()...)
	case *Files:
		if a.SPA {
			lines[0] += " spa"
		}
	case *Redirect:
		lines[0] = fmt.Sprintf("redirect %d %s", a.Status, a.Target)
	case *Respond:
		lines[0] = fmt.Sprintf("respond %d %q", a.Status, a.Body)
		for _, h := range a.Headers {
			lines = append(lines, "respond_header "+h.String())
		}
	}
	return lines
}
