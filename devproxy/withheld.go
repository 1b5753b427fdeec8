package devproxy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/page"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// withheldError is the error of a route that is not served because nobody has
// agreed to what it does outside the project. It is answered with 403.
type withheldError struct{ effects []*plan.Effect }

func (e *withheldError) Error() string {
	texts := make([]string, len(e.effects))
	for i, effect := range e.effects {
		texts[i] = effect.String()
	}
	return "this route needs consent: " + strings.Join(texts, "; ")
}

func (e *withheldError) page(route *plan.Route) page.Page {
	p := page.Page{
		Status: http.StatusForbidden, Title: "This route needs your consent.",
		Lead:  "It reaches outside its project, and you have not allowed that yet.",
		Quote: quote(route.Source), CodeTitle: "To allow it:", Code: "devproxy allow",
	}
	if slices.ContainsFunc(e.effects, func(effect *plan.Effect) bool { return effect.Computed }) {
		// Any client may read this, and which effects there are tells about a value.
		p.Quote = nil
		return p
	}
	for _, effect := range e.effects {
		p.Hints = append(p.Hints, effect.String())
	}
	return p
}

// masked is p without values of the environment.
func masked(p page.Page, mask *hcl.Mask) page.Page {
	p.Title, p.Lead, p.Code = mask.Text(p.Title), mask.Text(p.Lead), mask.Text(p.Code)
	hints := make([]string, len(p.Hints))
	for i, hint := range p.Hints {
		hints[i] = mask.Text(hint)
	}
	if p.Hints != nil {
		p.Hints = hints
	}
	return p
}
