package devproxy

import (
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// containerPage changes the waiting page for a route to containers.
func containerPage(p *page.Page, group *plan.Group, members []forward.MemberState) {
	if group.Absent != "" {
		p.Title, p.Attempts = page.Sentence(group.Absent), nil
		if group.Fix != "" {
			p.CodeTitle, p.Code = "What helps:", group.Fix
		}
		return
	}
	p.Title = page.Sentence(group.String() + " does not accept connections")
	for _, m := range members {
		if m.Health == forward.Unhealthy {
			p.Hints = append(p.Hints, m.Text+": "+m.Why+".")
		}
	}
}
