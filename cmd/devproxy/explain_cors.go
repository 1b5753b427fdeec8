package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// corsOf says what the route's cors does for the Origin of v.
func corsOf(c *plan.CORS, v *visit) string {
	origin := v.header.Get("Origin")
	switch {
	case origin == "":
		return "nothing without Origin"
	case origin == v.scheme+"://"+v.authority:
		return "nothing for the page's own origin"
	case !allowsOrigin(c, origin):
		return origin + " may not read it"
	case v.method == http.MethodOptions && v.header.Get("Access-Control-Request-Method") != "":
		return "answers the preflight of " + origin
	case c.Any:
		return origin + " may read it, without credentials"
	}
	return origin + " may read it, with credentials"
}

// allowsOrigin tells by the host where the hosts of a Proxyfile are allowed:
// which port devproxy will have is not known here.
func allowsOrigin(c *plan.CORS, origin string) bool {
	if c.Any || slices.Contains(c.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	return slices.ContainsFunc(c.Hosts, func(name string) bool {
		if parent, wild := strings.CutPrefix(name, "*"); wild {
			label, below := strings.CutSuffix(u.Hostname(), parent)
			return below && label != "" && !strings.Contains(label, ".")
		}
		return name == u.Hostname()
	})
}
