package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// guarded reports whether only some may ask r.
func (r *Route) guarded() bool {
	return r != nil && len(r.Users)+len(r.Access.Allow)+len(r.Access.Deny) > 0
}

// weaker reports that a request that reaches r would avoid the guard of other:
// other is guarded, and r is not guarded in the same way.
func (r *Route) weaker(other *Route) bool {
	return other.guarded() && (r == nil || r.guard != other.guard)
}

// same reports that it does not matter which of two routes a request reaches:
// their target and all that is put around it are equal.
func (r *Route) same(other *Route) bool {
	return r == other || r != nil && other != nil && r.effect == other.effect
}

// mapsPath reports whether what is answered depends on what follows the route's
// path, and not on the whole path as it came.
func (r *Route) mapsPath() bool {
	switch a := r.Answer.(type) {
	case *Files:
		return true
	case *Redirect:
		return strings.Contains(a.Target, restMark)
	}
	rest := func(h Header) bool { return strings.Contains(h.Value, restMark) }
	return r.StripPrefix || r.Rewrite != "" || r.TryFiles != nil && !r.TryFiles.Whole || slices.ContainsFunc(r.RequestHeaders, rest) || slices.ContainsFunc(r.ResponseHeaders, rest)
}

// compareRoutes sets guard and effect of routes: equal numbers mean equal guards
// and effects.
func compareRoutes(routes []*Route) {
	guards, effects := map[string]int{}, map[string]int{}
	number := func(of map[string]int, text string) int {
		if _, ok := of[text]; !ok {
			of[text] = len(of) + 1
		}
		return of[text]
	}
	for _, r := range routes {
		r.guard = number(guards, asText(r.Users, r.Access))
		var path string
		if r.mapsPath() {
			path = r.ID
		}
		var answer any = r.Answer
		switch a := r.Answer.(type) {
		case *Upstream:
			answer = a.Key // its text is for people
		case *Withheld:
			answer = r.ID
		}
		r.effect = number(effects, asText(r.guard, path, fmt.Sprintf("%T", r.Answer), answer, r.TryFiles, r.StripPrefix, r.Rewrite, r.ForwardedHTTP, r.RequestHeaders, r.ResponseHeaders,
			r.RateLimit, r.CORS, r.MaxBody, r.Cache, r.Simulate))
	}
}

// asText is equal for equal values. They are plain data, which always has a text.
func asText(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// otherwise looks at path as other programs may read it, and returns why a
// request that devproxy reads as one for route must be refused; empty when
// nothing speaks against it. s is the shape of path.
//
// Programs differ in five things: whether "%2F" separates segments, whether "\"
// does, whether dot segments are resolved, whether a ";" begins parameters that do
// not count, and what an empty segment is. The rules:
//
//   - No reading may reach a route with a guard (basic_auth, allow, deny) that
//     route does not have. No spelling of a path gets past a guard.
//   - With "%2F", "\" and dot segments the readings must reach the same target
//     too: nothing says which one is meant.
//   - "//" counts as "/". A trailing "/" counts for exact routes: "/only/" is not
//     exact "/only". A ";" is a character like others. Their other readings need
//     not have the same target.
//   - A ".." above the root is refused where the upstream's path is put together
//     from the route's: rewrite = "/public{rest}" must not become "/public/..".
func (h *Host) otherwise(path string, s shape, r *Request, route *Route) (wrong string) {
	if s.spelled() {
		for _, by := range []separators{{}, {slash: true}, {backslash: true}, {true, true}} {
			if by.slash && !s.slash || by.backslash && !s.backslash {
				continue
			}
			if wrong = h.readAs(path, by, s.dots, r, route); wrong != "" {
				return wrong
			}
		}
	}
	if wrong = h.guardedBy(path, separators{}, r, route, reading{}); wrong != "" || !s.parameters || !h.guarded {
		return wrong
	}
	for _, by := range []separators{{}, {slash: true}, {backslash: true}, {true, true}} {
		bare := withoutParameters(path, by)
		as := reading{parameters: true}
		if wrong = h.guardedBy(bare, by, r, route, as); wrong != "" {
			return wrong
		}
		for _, merge := range []bool{true, false} {
			resolved, climbs := withoutDots(cutter{rest: bare, separators: by, merge: merge})
			if wrong = h.guardedBy(resolved, separators{}, r, route, as); wrong != "" {
				return wrong
			}
			if climbs {
				return `has a ".." segment above the root ` + as.String()
			}
		}
	}
	return ""
}

// readAs compares route with the readings of path that cut it by separators.
func (h *Host) readAs(path string, by separators, dots bool, r *Request, route *Route) (wrong string) {
	as := reading{by: by}
	if other := h.tree.find(cutter{rest: path, separators: by, merge: true}, r); !route.same(other) {
		return ambiguous(route, other, as.String())
	}
	if wrong = h.guardedBy(path, by, r, route, as); wrong != "" || !dots {
		return wrong
	}
	as.dots = true
	for _, merge := range []bool{true, false} {
		resolved, climbs := withoutDots(cutter{rest: path, separators: by, merge: merge})
		if climbs && (route == nil || route.mapsPath()) {
			return `has a ".." segment above the root`
		}
		if other := h.tree.find(cutPath(resolved), r); !route.same(other) {
			return ambiguous(route, other, as.String())
		}
		if wrong = h.guardedBy(resolved, separators{}, r, route, as); wrong != "" {
			return wrong
		}
	}
	return ""
}

// guardedBy compares route with the readings of path that differ in what an
// empty segment is.
func (h *Host) guardedBy(path string, by separators, r *Request, route *Route, as reading) (wrong string) {
	for _, c := range []cutter{
		{rest: path, separators: by, merge: true},
		{rest: path, separators: by, merge: true, untrailed: true},
		{rest: path, separators: by},
	} {
		if other := h.tree.find(c, r); route.weaker(other) {
			how := as.String()
			switch {
			case how == "" && c.untrailed:
				how = `without its trailing "/"`
			case how == "":
				how = "where empty segments count"
			}
			return ambiguous(route, other, how)
		}
	}
	return ""
}

// reading is one way to read a path, besides what an empty segment is.
type reading struct {
	by         separators
	dots       bool // resolved
	parameters bool // cut off
}

// String is to be read after "it is a route"; empty for devproxy's own reading.
func (r reading) String() string {
	var parts []string
	switch {
	case r.parameters:
		parts = append(parts, `";" begins a parameter`)
	case r.by.slash && r.by.backslash:
		parts = append(parts, `"%2F" and "\" count as "/"`)
	case r.by.slash:
		parts = append(parts, `"%2F" counts as "/"`)
	case r.by.backslash:
		parts = append(parts, `"\" counts as "/"`)
	}
	if r.dots {
		parts = append(parts, `"." and ".." segments are resolved`)
	}
	if len(parts) == 0 {
		return ""
	}
	return "where " + strings.Join(parts, " and ")
}

// ambiguous is the reason to refuse a path whose readings reach two routes,
// either of which may be nil.
func ambiguous(own, other *Route, how string) string {
	return fmt.Sprintf("is %s as it is written, and %s %s", labelOf(own), labelOf(other), how)
}

func anyGuarded(routes []*Route) bool { return slices.ContainsFunc(routes, (*Route).guarded) }
