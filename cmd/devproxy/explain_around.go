package main

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// setting is one thing that a route puts around its answer. Fields are added,
// never renamed or removed.
type setting struct {
	Name string `json:"name"` // "access", or the attribute's
	Text string `json:"text"`
	// Does is what comes of it for this request.
	Does string `json:"does,omitempty"`
}

// settingsOf are what is put around r's answer, in the order in which a request
// meets it.
func settingsOf(r *plan.Route, v *visit) []setting {
	var list []setting
	if text := r.Access.String(); text != "" {
		list = append(list, setting{"access", text, accessOf(r.Access)})
	}
	if r.RateLimit != nil {
		list = append(list, setting{"rate_limit", r.RateLimit.String(), "429 above it"})
	}
	if r.CORS != nil {
		list = append(list, setting{"cors", r.CORS.String(), corsOf(r.CORS, v)})
	}
	if r.Users != nil {
		list = append(list, setting{"basic_auth", namesOf(r.Users), authOf(v)})
	}
	if r.MaxBody > 0 {
		list = append(list, setting{"max_body", plan.FormatSize(r.MaxBody), bodyOf(r.MaxBody, v)})
	}
	if r.Compress {
		list = append(list, setting{"compress", "zstd, br, gzip", compressOf(v)})
	}
	if r.Cache != nil {
		list = append(list, setting{"cache", r.Cache.String(), cacheOf(v)})
	}
	if r.Simulate != nil {
		list = append(list, setting{"simulate", r.Simulate.String(), ""})
	}
	return list
}

// accessOf says what comes of the lists for a browser of this machine.
func accessOf(a plan.Access) string {
	addr := netip.MustParseAddrPort(here).Addr()
	has := func(p netip.Prefix) bool { return p.Contains(addr) }
	if slices.ContainsFunc(a.Deny, has) || len(a.Allow) > 0 && !slices.ContainsFunc(a.Allow, has) {
		return "403 for " + addr.String()
	}
	return addr.String() + " may ask"
}

func namesOf(users []plan.User) string {
	var names []string
	for _, u := range users {
		names = append(names, u.Name)
	}
	return strings.Join(names, ", ")
}

// authOf says nothing of whether a password is right: explain asks nobody.
func authOf(v *visit) string {
	if v.header.Get("Authorization") == "" {
		return "401 without a name and a password"
	}
	return "401 unless Authorization is right"
}

func bodyOf(limit int64, v *visit) string {
	if n, err := strconv.ParseInt(v.header.Get("Content-Length"), 10, 64); err == nil && n > limit {
		return "413: this body has " + plan.FormatSize(n)
	}
	return "413 above it"
}

func compressOf(v *visit) string {
	if v.header.Get("Accept-Encoding") == "" {
		return "not without Accept-Encoding"
	}
	return "as Accept-Encoding asks"
}

// cacheOf says which part of RFC 9111 the request meets before any answer is
// there.
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
