package devproxy

import (
	"net/http"

	"github.com/devproxy/devproxy/devproxy/advice"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// advisor looks at the head of an upstream's answer before a share makes it
// public: what is meant for the upstream's own address is mended, and what
// browsers will refuse is told once.
func (s *Server) advisor(x *exchange, r *http.Request, match plan.Match, upstream *plan.Upstream) func(http.Header, int) {
	route, origin, host := match.Route, scheme(r)+"://"+r.Host, hostname(r.Host)
	return func(h http.Header, _ int) {
		advice.DropHSTS(h, host)
		if location := h.Get("Location"); location != "" {
			h.Set("Location", advice.Location(location, route, upstream, origin))
		}
		x.advice = s.advised.New(route.ID, advice.Of(h, host))
	}
}
