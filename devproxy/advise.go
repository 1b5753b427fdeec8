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
	route, host := match.Route, hostname(r.Host)
	outside := advice.Outside{Route: route, Upstream: upstream, Origin: scheme(r) + "://" + r.Host}
	return func(h http.Header, _ int) {
		advice.DropHSTS(h, host)
		outside.Header(h)
		x.advice = s.advised.New(route.ID, advice.Of(h, host))
	}
}
