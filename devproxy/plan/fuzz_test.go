package plan

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// reference is Match written as plainly as the design states it: whole paths
// are cut, decoded and compared for every route, in every reading. The second
// result is the status, 200 when there is a route.
func reference(p *Plan, r Request) (*Route, int) {
	host := referenceHost(p, strings.TrimSuffix(strings.ToLower(r.Host), "."))
	if host == nil {
		return nil, http.StatusNotFound
	}
	decoded, err := url.PathUnescape(r.Path)
	if err != nil || !strings.HasPrefix(r.Path, "/") || strings.Contains(decoded, "\x00") {
		return nil, http.StatusBadRequest
	}
	own := referenceRoute(host, referenceMerge(referenceCut(r.Path, false, false)), r)
	for _, slash := range []bool{false, true} {
		for _, backslash := range []bool{false, true} {
			for _, cut := range []bool{false, true} {
				raw := referenceCut(r.Path, slash, backslash)
				if cut {
					raw = referenceBare(r.Path, slash, backslash)
				}
				resolved, climbs := referenceResolve(raw)
				merged, mergedClimbs := referenceResolve(referenceMerge(raw))
				if (climbs || mergedClimbs) && (!cut && (own == nil || referenceMaps(own)) || cut && slices.ContainsFunc(host.Routes, referenceGuarded) && strings.Contains(decoded, ";")) {
					return nil, http.StatusBadRequest
				}
				for _, segments := range [][]string{raw, resolved, merged} {
					other := referenceRoute(host, referenceMerge(segments), r)
					if !cut && !referenceSame(own, other) {
						return nil, http.StatusBadRequest
					}
					untrailed := slices.DeleteFunc(slices.Clone(segments), func(s string) bool { return s == "" })
					for _, reached := range []*Route{other, referenceRoute(host, untrailed, r), referenceRoute(host, segments, r)} {
						if referenceGuarded(reached) && (own == nil || !reflect.DeepEqual(referenceGuard(own), referenceGuard(reached))) {
							return nil, http.StatusBadRequest
						}
					}
					for _, reading := range [][]string{referenceMerge(segments), untrailed, segments} {
						folded := referenceFolded(host, reading, r)
						if referenceGuarded(folded) && (own == nil || foldText(own.Path) != folded.Path && !reflect.DeepEqual(referenceGuard(own), referenceGuard(folded))) {
							return nil, http.StatusBadRequest
						}
					}
				}
			}
		}
	}
	if own == nil {
		return nil, http.StatusNotFound
	}
	return own, http.StatusOK
}

func referenceGuarded(r *Route) bool {
	return r != nil && len(referenceGuard(r)) > 0
}

// referenceGuard returns the settings that keep clients out.
func referenceGuard(r *Route) (settings []Setting) {
	for _, s := range r.Around {
		if s.Name() == "basic_auth" || s.Name() == "access" {
			settings = append(settings, s)
		}
	}
	return settings
}

// referenceMaps holds for the routes of fuzzPlan.
func referenceMaps(r *Route) bool { return r.StripPrefix }

// referenceSame holds for the routes of fuzzPlan: they differ in where they lead,
// in strip_prefix and in their guards.
func referenceSame(a, b *Route) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	return a.Answer.String() == b.Answer.String() && !a.StripPrefix && !b.StripPrefix && reflect.DeepEqual(referenceGuard(a), referenceGuard(b))
}

// referenceCut cuts at "/" and at what else separates, and decodes each segment:
// an escaped slash that does not separate is a slash inside a segment.
func referenceCut(p string, slash, backslash bool) []string {
	return referenceDecode(strings.Split(referenceSeparators(p, slash, backslash)[1:], "/"))
}

// referenceBare is referenceCut with what follows a ";" cut off.
func referenceBare(p string, slash, backslash bool) []string {
	segments := strings.Split(referenceSeparators(p, slash, backslash)[1:], "/")
	for i, segment := range segments {
		segments[i] = regexp.MustCompile(`(?is)(;|%3b).*`).ReplaceAllString(segment, "")
	}
	return referenceDecode(segments)
}

func referenceSeparators(p string, slash, backslash bool) string {
	if slash {
		p = regexp.MustCompile("(?i)%2f").ReplaceAllString(p, "/")
	}
	if backslash {
		p = regexp.MustCompile(`(?i)%5c|\\`).ReplaceAllString(p, "/")
	}
	return p
}

func referenceDecode(segments []string) []string {
	for i, segment := range segments {
		segments[i], _ = url.PathUnescape(segment)
	}
	return segments
}

// referenceMerge drops empty segments, but not one at the end.
func referenceMerge(segments []string) []string {
	kept := slices.DeleteFunc(slices.Clone(segments), func(s string) bool { return s == "" })
	if len(kept) > 0 && segments[len(segments)-1] == "" {
		kept = append(kept, "")
	}
	return kept
}

func referenceResolve(segments []string) (kept []string, climbs bool) {
	for i, segment := range segments {
		switch {
		case segment != "." && segment != "..":
			kept = append(kept, segment)
			continue
		case segment == ".." && len(kept) == 0:
			climbs = true
		case segment == "..":
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return kept, climbs
}

func referenceHost(p *Plan, name string) *Host {
	best, length := (*Host)(nil), -1
	for _, h := range p.hosts {
		for _, n := range append([]string{h.Name}, h.Aliases...) {
			below, wildcard := strings.CutPrefix(n, "*")
			label, covered := strings.CutSuffix(name, below)
			switch {
			case n == name:
				return h
			case wildcard && covered && label != "" && !strings.Contains(label, ".") && len(n) > length:
				best, length = h, len(n)
			}
		}
	}
	return best
}

func referenceRoute(h *Host, segments []string, r Request) *Route {
	return referenceFirst(h.Routes, segments, r, referenceBefore)
}

// referenceFolded is referenceRoute without the case of paths, and with guarded
// routes before others of the same rank.
func referenceFolded(h *Host, segments []string, r Request) *Route {
	var routes []*Route
	for _, route := range h.Routes {
		c := *route
		c.Path = foldText(route.Path)
		routes = append(routes, &c)
	}
	var folded []string
	for _, segment := range segments {
		folded = append(folded, foldText(segment))
	}
	return referenceFirst(routes, folded, r, func(a, b *Route) bool {
		if guarded := referenceGuarded(a); guarded != referenceGuarded(b) && comparePaths(a.Path, b.Path) == 0 {
			return guarded
		}
		return referenceBefore(a, b)
	})
}

func referenceFirst(routes []*Route, segments []string, r Request, before func(a, b *Route) bool) *Route {
	var best *Route
	for _, route := range routes {
		want := strings.Split(route.Path[1:], "/")
		if route.Path == "/" {
			want = nil
		}
		fits := len(segments) >= len(want) && (!route.Exact || len(segments) == len(want))
		for i := 0; fits && i < len(want); i++ {
			fits = referenceSegment(want[i], segments[i], i == len(segments)-1)
		}
		if fits && referenceConditions(route.Match, r) && (best == nil || before(route, best)) {
			best = route
		}
	}
	return best
}

// referenceSegment: a star is any text, and the end of a path after its last "/" no
// segment.
func referenceSegment(pattern, segment string, last bool) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == segment
	}
	if segment == "" && last {
		return false
	}
	expr := strings.ReplaceAll(regexp.QuoteMeta(latin1(pattern)), `\*`, `[\x00-\xff]*`)
	return regexp.MustCompile("^" + expr + "$").MatchString(latin1(segment))
}

// latin1 has a character for each byte, as regexp knows no others.
func latin1(text string) string {
	var out strings.Builder
	for i := range len(text) {
		out.WriteRune(rune(text[i]))
	}
	return out.String()
}

// referenceBefore: more segments, fewer of them with a star, more letters, fewer
// stars, exact, more conditions.
func referenceBefore(a, b *Route) bool {
	rank := func(r *Route) (segments, starred, letters, stars int) {
		for segment := range strings.SplitSeq(r.Path[1:], "/") {
			segments++
			letters += len(strings.ReplaceAll(segment, "*", ""))
			stars += strings.Count(segment, "*")
			if strings.Contains(segment, "*") {
				starred++
			}
		}
		if r.Path == "/" {
			segments = 0
		}
		return segments, starred, letters, stars
	}
	segments, starred, letters, stars := rank(a)
	itsSegments, itsStarred, itsLetters, itsStars := rank(b)
	switch {
	case segments != itsSegments:
		return segments > itsSegments
	case starred != itsStarred:
		return starred < itsStarred
	case letters != itsLetters:
		return letters > itsLetters
	case stars != itsStars:
		return stars < itsStars
	case a.Exact != b.Exact:
		return a.Exact
	}
	return a.Match.Count() > b.Match.Count()
}

func referenceConditions(c Conditions, r Request) bool {
	query, _ := url.ParseQuery(r.RawQuery)
	for _, q := range c.Query {
		if !slices.Contains(query[q.Name], q.Value) {
			return false
		}
	}
	for _, h := range c.Headers {
		if !slices.Contains(r.Header[h.Name], h.Value) {
			return false
		}
	}
	return len(c.Methods) == 0 || slices.Contains(c.Methods, r.Method)
}

// FuzzMatch holds two things: Match is the reference, and no spelling of a
// path reaches a route with less protection than one of its other readings.
func FuzzMatch(f *testing.F) {
	p := fuzzPlan(f)
	for _, seed := range append(spellings(),
		"/", "/api", "/api/admin", "/api/admin/", "/api/%61dmin/x", "/api/admin/keys", "/caf%C3%A9", "/api%2", "/api%00", "*", "",
		"/only", "/only/", "//only", "/secret/", "/secret//", "/strip/x/..", "/strip/../x", "/..", "/../strip/x", "/%5C..%5C..%5Cx", "/x;a/..", "/x;/../..", "/..;/..",
		"/api/1/store", "/api//store", "/api/1/admin", "/api//admin", "/api/a%2Fb/admin", "/api/a%2Fb/store/x", "/api/v1/store", "/api/", "/api/x/", "/api/../admin", "/api/;/admin", "/api/x;y/admin",
		"/app_", "/app_1", "/app_1_2", "/app__", "/app_%5F", "/ap%70_x/..%2f/app_1_1", "/a.js", "/.js", "/a.js/", "/%2Ejs", "/1m2n3", "/%6d%6E", "/nm", "/x/keys", "//keys", "/%2Fkeys",
		"/%25x", "/a", "/aa", "/aaa", "/a%61", "/x/1/2/3", "/1/2/3/4/5", "/x//2/3", "/caf%C3%A9", "/cafx%c3%a9", "/caf%C3", "/%2A/keys", "/*/keys", "/api/*/admin", "/ADMIN", "/admin/Open", "/%41DMIN", "/docs", "/DOCS/public", "/docs/Public", "/Assets", "/ASSETS", "/caf%C3%89", "/CAF%c3%a9", "/%E2%84%AAey", "/Key", "/twin", "/TWIN", "/Twin", "/x/a%C5%BF", "/X/s", "/x/S", "/ADMIN;x", "//ADMIN", "/a/../ADMIN",
		"/"+strings.Repeat("a", 300), "/"+strings.Repeat("%61", 300),
	) {
		for _, host := range []string{"shop.localhost", "guard.localhost", "stars.localhost", "case.localhost"} {
			f.Add("GET", host, seed, "", "")
		}
		f.Add("POST", "A.shop.localhost.", seed, "beta=yes", "1")
	}
	f.Fuzz(func(t *testing.T, method, host, target, query, debug string) {
		if strings.ContainsFunc(host, func(r rune) bool { return r > 0x7e }) {
			t.Skip("the reference folds letters outside of ASCII")
		}
		if strings.Contains(query, ";") || strings.Contains(query, "%") {
			query = url.QueryEscape(query) // what net/url refuses to parse
		}
		r := Request{Method: method, Host: host, Path: target, RawQuery: query, Header: http.Header{"X-Debug": {debug}}}
		m, err := p.Match(r)
		wantRoute, wantStatus := reference(p, r)
		if status := statusOf(t, err); m.Route != wantRoute || status != wantStatus {
			t.Fatalf("Match(%+v) = %v (%d, %v); the reference says %v (%d)", r, m.Route, status, err, wantRoute, wantStatus)
		}
		if err != nil {
			return
		}
		if m.Rest != "" && m.Rest[0] != '/' || !strings.HasSuffix(target, m.Rest) {
			t.Errorf("Match(%q): rest %q is not what ends the path at a boundary", target, m.Rest)
		}
		checkProtected(t, p, r, m.Route)
	})
}

// meanings are what programs make of a target: decoded once, with some or all of
// its separators, without parameters, cleaned, in lower case.
func meanings(t *testing.T, target string) (all []string) {
	t.Helper()
	decoded, err := url.PathUnescape(target)
	if err != nil {
		t.Fatalf("a path with a bad escape was matched: %q", target)
	}
	slashed := strings.ReplaceAll(decoded, `\`, "/")
	parameters := regexp.MustCompile(`;[^/]*`)
	for _, text := range []string{decoded, slashed, parameters.ReplaceAllString(decoded, ""), parameters.ReplaceAllString(slashed, "")} {
		all = append(all, path.Clean("/"+text), strings.ToLower(path.Clean("/"+text)))
	}
	return all
}

// checkProtected fails when target means the path of a protected route to
// some program, and yet reached a route without that protection.
func checkProtected(t *testing.T, p *Plan, r Request, reached *Route) {
	t.Helper()
	for _, meaning := range meanings(t, r.Path) {
		plain := r
		plain.Path = (&url.URL{Path: meaning}).EscapedPath()
		if strings.ContainsAny(meaning, ";\\\x00") {
			continue // it has further meanings
		}
		meant, err := p.Match(plain)
		if err == nil && referenceGuarded(meant.Route) && !reflect.DeepEqual(referenceGuard(meant.Route), referenceGuard(reached)) {
			t.Fatalf("%q means %q, which is %q, and reached %q", r.Path, meaning, meant.Route.Label(), reached.Label())
		}
	}
}

// TestEverySpelling tries each way to write each byte of a protected path that
// programs are known to decode, in all pairs.
func TestEverySpelling(t *testing.T) {
	p := fuzzPlan(t)
	separators := []string{"/", "//", "/./", "%2F", "%2f", "/%2F", "%2F/", `\`, "%5C", "%5c", "/x/../", "/%2e/", "/x/%2E%2e/", "/x%2f..%2F", "///"}
	words := []string{"admin", "%61dmin", "a%64min", "admi%6E", "admi%6e", "%61%64%6d%69%6e", "Admin", "ADMIN", "%41dmin", "adm%49N"}
	reached := 0
	for _, first := range separators {
		for _, second := range separators {
			for _, third := range append(separators, "") {
				for _, word := range words {
					target := first + "api" + second + word + third
					for _, host := range []string{"shop.localhost", "guard.localhost", "stars.localhost", "case.localhost"} {
						r := Request{Method: "GET", Host: host, Path: target}
						m, err := p.Match(r)
						if err != nil {
							continue
						}
						reached++
						checkProtected(t, p, r, m.Route)
					}
				}
			}
		}
	}
	if reached == 0 {
		t.Error("every spelling is refused; the plain one must not be")
	}
}

// spellings are ways to write "/api/admin" and "/secret" that programs are known
// to decode.
func spellings() []string {
	return []string{
		"/api%2Fadmin", "/api//admin", "//api/admin", "/api/./admin", "/api/x/../admin", "/api/%2e%2E/admin", "/api%5cadmin", `/api\admin`,
		"/api/admin%2fkeys", "/api/%2fadmin", "/%2Fapi/admin", "/api;/admin", "/api/..;/admin", "/x%2f..%2Fapi/admin", "/secret;x", "/;x/secret", "//secret", "/./secret",
		"/API/admin", "/api/ADMIN", "/API%2FADMIN", "/SECRET", "/Secret;x", "/x/../%53ecret",
		"/x/..%5Csecret", "/api//../secret", "/a//..%2f/../secret", `/x\..\secret`, "/x;\\..\\secret", "/a%3b/../secret%3B",
	}
}

func fuzzPlan(t testing.TB) *Plan {
	written := hostOf("shop.localhost", to(1),
		routeOf("/api", 2), routeOf("/api/admin", 3), exactly("/api/admin/keys", 4), exactly("/", 5), routeOf("/café", 6),
		when("/api", 7, matchOf("POST", "", "")),
		when("/api", 8, matchOf("POST", "1", "")),
		when("/api", 9, matchOf("", "", "yes")),
		when("/", 10, matchOf("DELETE", "", "")),
	)
	protect(written.Routes[1])
	protect(written.Routes[2])
	stripped := routeOf("/strip", 1)
	stripped.StripPrefix = true
	guard := hostOf("guard.localhost", to(1), routeOf("/api", 1), protect(routeOf("/api/admin", 1)), exactly("/only", 2), protect(exactly("/secret", 1)), stripped,
		protect(routeOf("/closed", 1)), routeOf("/closed/open", 1))
	ids := routeOf("/api/*", 1)
	ids.StripPrefix = true
	stars := hostOf("stars.localhost", to(1), routeOf("/api", 2), routeOf("/api/*/store", 3), routeOf("/api/v1/*", 4), protect(routeOf("/api/*/admin", 1)), ids,
		routeOf("/app_*", 5), protect(routeOf("/app_*_*", 1)), exactly("/*.js", 6), routeOf("/*m*n*", 7), protect(exactly("/*/keys", 1)), routeOf("/%*", 8),
		when("/app_*", 9, matchOf("POST", "", "")), routeOf("/a*a", 10), routeOf("/*/*/*/*", 11), routeOf("/x/*/*/*", 12), routeOf("/caf*é", 13),
		exactly("/only/", 14), exactly("/*/", 15), protect(exactly("/app_/", 1)))
	cased := hostOf("case.localhost", to(1), protect(routeOf("/admin", 1)), routeOf("/Admin/open", 2), protect(routeOf("/Docs", 1)), routeOf("/docs/Public", 3),
		routeOf("/assets", 4), routeOf("/Assets", 5), protect(routeOf("/café", 1)), protect(routeOf("/k*", 1)), protect(routeOf("/Twin", 1)), routeOf("/twin", 6), protect(exactly("/x/*S", 1)))
	return build(t, written, guard, stars, cased, hostOf("*.shop.localhost", nil, routeOf("/api", 11), exactly("/api", 12)))
}

// protect adds basic_auth.
func protect(r *hcl.Route) *hcl.Route {
	r.BasicAuth = &hcl.BasicAuth{Users: map[string]string{"ana": "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}}
	return r
}

func statusOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	if _, ok := errors.AsType[*PathError](err); ok {
		return http.StatusBadRequest
	}
	if _, ok := errors.AsType[*UnknownHostError](err); ok {
		return http.StatusNotFound
	}
	if _, ok := errors.AsType[*NoRouteError](err); ok {
		return http.StatusNotFound
	}
	t.Fatalf("an error of no known type: %v", err)
	return 0
}
