package plan

import (
	"net/netip"
	"slices"

	"github.com/devproxy/devproxy/hcl"
)

// checkAround warns of settings that do nothing, or shut out everybody, where
// they are written: on w, or on its host through it.
func (b *builder) checkAround(r *Route, route *hcl.Route, s *hcl.Settings) {
	w := &route.Settings
	if _, forwards := r.Answer.(*Upstream); route.Rewrite != "" && !forwards {
		b.warnf(route.PathRange, "remove it, or write an upstream in the route", "rewrite in route %q does nothing: its host answers, and forwards nothing", r.Label())
	}
	if _, forwards := r.Answer.(*Upstream); w.Cache != nil && !w.Cache.Off && !forwards {
		b.warnOnce(w.Cache.Range, "remove it: files and fixed answers are at hand anyway", "there is no upstream whose answers to cache")
	}
	if l := s.RateLimit; l != nil && l.By == hcl.RateByUser && r.Users == nil {
		b.warnOnce(l.Range, `write basic_auth beside it, or by = "address"`, "nobody is asked for a name here, so addresses are counted")
	}
	b.checkAccess(r, s)
}

func (b *builder) checkAccess(r *Route, s *hcl.Settings) {
	allow, deny := r.Access.Allow, r.Access.Deny
	if everybody := slices.IndexFunc(deny, func(p netip.Prefix) bool { return p.Bits() == 0 }); allow == nil && everybody >= 0 {
		if halves(deny) == 2 {
			b.warnOnce(s.Deny.Range, "write allow for those who may ask", "everybody is denied")
		}
		return
	}
	if allow == nil {
		return
	}
	denied := func(p netip.Prefix) bool { return covered(p, deny) }
	if !slices.ContainsFunc(allow, func(p netip.Prefix) bool { return !denied(p) }) {
		b.warnOnce(s.Deny.Range, "all of allow is in it: remove one of them", "everybody who is allowed is denied")
		return
	}
	if !slices.ContainsFunc(loopbacks(), func(p netip.Prefix) bool { return covered(p, allow) && !denied(p) }) {
		b.warnOnce(s.Allow.Range, `add "127.0.0.1" and "::1" unless visitors of a share only are meant`, "this machine itself is not allowed")
	}
}

// halves is how many of the families IPv4 and IPv6 are in ranges as a whole.
func halves(ranges []netip.Prefix) int {
	n := 0
	for _, p := range ranges {
		if p.Bits() == 0 {
			n++
		}
	}
	return n
}

func loopbacks() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}
}

// warnOnce adds a warning once: what a host says holds for several routes.
func (b *builder) warnOnce(at hcl.Range, detail, summary string) {
	d := hcl.Diagnostic{Severity: hcl.Warning, Summary: summary, Detail: detail, Range: at}
	if !slices.Contains(b.diags, d) {
		b.diags = append(b.diags, d)
	}
}
