package main

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// setting is one setting that a route puts around its answer. Fields are added,
// never renamed or removed.
type setting struct {
	Name string `json:"name"` // "access", or the attribute's
	Text string `json:"text"`
	// Does describes the effect of the setting on this request.
	Does string `json:"does,omitempty"`
}

// settingsOf returns the settings around r's answer, in the order in which they
// apply to a request.
func settingsOf(r *plan.Route, v *visit) []setting {
	return each(r.Around, func(s plan.Setting) setting { return setting{s.Name(), s.String(), does(s, v)} })
}

// does says what s does to the request v, for a client of this machine. It is
// empty where the setting's text says enough.
func does(s plan.Setting, v *visit) string {
	switch s := s.(type) {
	case plan.Access:
		addr := netip.MustParseAddrPort(here).Addr()
		if !access.Allowed(addr, s.Allow, s.Deny) {
			return "403 for " + addr.String()
		}
		return addr.String() + " is allowed"
	case plan.RateLimit:
		return "429 above it"
	case plan.CORS:
		return corsOf(&s, v)
	case plan.BasicAuth:
		if v.header.Get("Authorization") == "" {
			return "401 without a name and a password"
		}
		return "401 unless Authorization is right" // explain compares no passwords
	case plan.MaxBody:
		if n, err := strconv.ParseInt(v.header.Get("Content-Length"), 10, 64); err == nil && n > int64(s) {
			return "413: this body has " + plan.FormatSize(n)
		}
		return "413 above it"
	case plan.Compress:
		if v.header.Get("Accept-Encoding") == "" {
			return "only with Accept-Encoding"
		}
		return "as Accept-Encoding requests"
	case plan.Cache:
		return cacheOf(v)
	}
	return ""
}

// cacheOf says which part of RFC 9111 applies to the request before there is a
// response.
func cacheOf(v *visit) string {
	control := strings.ToLower(strings.Join(v.header.Values("Cache-Control"), ","))
	switch {
	case slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, v.method):
		return "never for " + v.method + "; its success drops what is stored for the URL"
	case v.method != http.MethodGet && v.method != http.MethodHead:
		return "never for " + v.method
	case v.header.Get("Upgrade") != "":
		return "never for an upgrade"
	case strings.Contains(control, "no-store"):
		return "nothing is stored: no-store"
	case strings.Contains(control, "no-cache"):
		return "asks the upstream first: no-cache"
	case v.method == http.MethodHead:
		return "looks up, stores nothing new"
	case v.header.Get("Authorization") != "":
		return "looks up; stores only what is public, s-maxage or must-revalidate"
	}
	return "looks up, stores what the upstream allows"
}

// corsOf describes the effect of the route's cors for the Origin of v.
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

// allowsOrigin compares only the host where the hosts of a Proxyfile are allowed:
// devproxy's port is unknown here.
func allowsOrigin(c *plan.CORS, origin string) bool {
	if c.Any || slices.Contains(c.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && c.HasHost(u.Hostname())
}
