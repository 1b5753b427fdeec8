package plan

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
)

// reference is Match written as plainly as the design states it: whole paths
// are cut, decoded and compared for every route. The second result is the
// status, 200 when there is a route.
func reference(p *Plan, r Request) (*Route, int) {
	host := referenceHost(p, strings.TrimSuffix(strings.ToLower(r.Host), "."))
	if host == nil {
		return nil, http.StatusNotFound
	}
	raw, ok := referenceRaw(r.Path)
	if !ok {
		return nil, http.StatusBadRequest
	}
	var decoded []string
	for _, segment := range raw {
		for part := range strings.SplitSeq(segment, "/") {
			if part != "" {
				decoded = append(decoded, part)
			}
		}
	}
	for _, segment := range slices.Concat(raw, decoded) {
		if segment == "." || segment == ".." || strings.ContainsAny(segment, "\\\x00") {
			return nil, http.StatusBadRequest
		}
	}
	if r.Path == "/" {
		raw = nil
	}
	first, second := referenceRoute(host, raw, r), referenceRoute(host, decoded, r)
	switch {
	case first != second:
		return nil, http.StatusBadRequest
	case first == nil:
		return nil, http.StatusNotFound
	}
	return first, http.StatusOK
}

// referenceRaw cuts at "/" and decodes each segment: an escaped slash is then
// a slash inside a segment.
func referenceRaw(p string) ([]string, bool) {
	if !strings.HasPrefix(p, "/") {
		return nil, false
	}
	segments := strings.Split(p[1:], "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return nil, false
		}
		segments[i] = decoded
	}
	return segments, true
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
	var best *Route
	for _, route := range h.Routes {
		want := strings.Split(strings.Trim(route.Path, "/"), "/")
		if route.Path == "/" {
			want = nil
		}
		fits := len(segments) >= len(want) && slices.Equal(segments[:len(want)], want)
		if route.Exact {
			fits = slices.Equal(segments, want)
		}
		if fits && referenceConditions(route.Match, r) && (best == nil || referenceBefore(route, best)) {
			best = route
		}
	}
	return best
}

func referenceBefore(a, b *Route) bool {
	switch {
	case len(a.Path) != len(b.Path):
		return len(a.Path) > len(b.Path)
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
// protected path reaches the route of its parent.
func FuzzMatch(f *testing.F) {
	p := fuzzPlan(f)
	for _, seed := range []string{
		"/", "/api", "/api/admin", "/api/admin/", "/api/%61dmin/x", "/api%2Fadmin", "/api//admin", "//api/admin",
		"/api/./admin", "/api/x/../admin", "/api/%2e%2E/admin", "/api%5cadmin", `/api\admin`, "/api/admin/keys",
		"/api/admin%2fkeys", "/api/%2fadmin", "/%2Fapi/admin", "/api/admin%00", "/caf%C3%A9", "/api%2", "/api;/admin", "*", "",
	} {
		f.Add("GET", "shop.localhost", seed, "", "")
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
		if m.Route.Host.Name == "shop.localhost" {
			checkProtected(t, target, m.Route)
		}
	})
}

// checkProtected fails when target, decoded and cleaned as a program behind
// devproxy may do it, lies under a protected path and yet reached a route that
// does not.
func checkProtected(t *testing.T, target string, reached *Route) {
	t.Helper()
	decoded, err := url.PathUnescape(target)
	if err != nil {
		t.Fatalf("a path with a bad escape was matched: %q", target)
	}
	meant := path.Clean("/" + strings.ReplaceAll(decoded, `\`, "/"))
	if (meant == "/api/admin" || strings.HasPrefix(meant, "/api/admin/")) && !strings.HasPrefix(reached.Path, "/api/admin") {
		t.Fatalf("%q means %q and reached %q", target, meant, reached.Label())
	}
	if meant == "/api/admin/keys" && !strings.HasPrefix(reached.Path, "/api/admin/keys") {
		t.Fatalf("%q means %q and reached %q", target, meant, reached.Label())
	}
}

// TestEverySpelling tries each way to write each byte of a protected path that
// programs are known to decode, in all pairs.
func TestEverySpelling(t *testing.T) {
	p := fuzzPlan(t)
	separators := []string{"/", "//", "/./", "%2F", "%2f", "/%2F", "%2F/", `\`, "%5C", "%5c", "/x/../", "/%2e/", "/x/%2E%2e/", "/x%2f..%2F", "///"}
	words := []string{"admin", "%61dmin", "a%64min", "admi%6E", "admi%6e", "%61%64%6d%69%6e"}
	reached := 0
	for _, first := range separators {
		for _, second := range separators {
			for _, third := range append(separators, "") {
				for _, word := range words {
					target := first + "api" + second + word + third
					m, err := p.Match(Request{Method: "GET", Host: "shop.localhost", Path: target})
					if err != nil {
						continue
					}
					reached++
					checkProtected(t, target, m.Route)
				}
			}
		}
	}
	if reached == 0 {
		t.Error("every spelling is refused; the plain one must not be")
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
	return build(t, written, hostOf("*.shop.localhost", nil, routeOf("/api", 11), exactly("/api", 12)))
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
