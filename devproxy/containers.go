package devproxy

import (
	"strings"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// containerPage changes the waiting page for a route to containers.
func containerPage(p *page.Page, group *plan.Group, members []forward.MemberState) {
	if group.Absent != "" {
		p.Title, p.Attempts = sentenceCase(group.Absent)+".", nil
		if group.Fix != "" {
			p.CodeTitle, p.Code = "What helps:", group.Fix
		}
		return
	}
	p.Title = sentenceCase(group.String()) + " does not accept connections."
	for _, m := range members {
		if m.Health == forward.Unhealthy {
			p.Hints = append(p.Hints, m.Text+": "+m.Why+".")
		}
	}
}

// sentenceCase returns text with a capital at its beginning.
func sentenceCase(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
