package plan

import (
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

func redirecting(path, target string, exact bool) *hcl.Route {
	return &hcl.Route{Path: path, Exact: exact, Settings: hcl.Settings{Redirect: &hcl.Redirect{Target: target, Status: 302}}}
}

// TestLoops: a redirect that leads back to its own route is warned of, whatever way
// it takes; one that ends elsewhere is not.
func TestLoops(t *testing.T) {
	const same, again, back = "leads to the same URL", "leads to the same route", "comes back to it, through route"
	conditional := when("/old/new", 1, matchOf("", "1", ""))
	for _, test := range []struct {
		name   string
		routes []*hcl.Route
		want   string // of the first warning; empty for none
	}{
		{"below itself", []*hcl.Route{redirecting("/old", "/old/new", false)}, again},
		{"below itself, exactly", []*hcl.Route{redirecting("/old", "/old/new", true)}, ""},
		{"a route of its own below", []*hcl.Route{redirecting("/old", "/old/new", false), routeOf("/old/new", 1)}, ""},
		{"a route of its own with a star", []*hcl.Route{redirecting("/old", "/old/new", false), routeOf("/old/n*", 1)}, ""},
		{"a route with conditions below", []*hcl.Route{redirecting("/old", "/old/new", false), conditional}, ""},
		{"with conditions", []*hcl.Route{{Path: "/old", Match: &hcl.Match{Methods: []string{"GET"}}, Settings: redirecting("", "/old/new", false).Settings}}, ""},
		{"everything", []*hcl.Route{redirecting("/", "/app", false)}, again},
		{"everything, to an app", []*hcl.Route{redirecting("/", "/app", false), routeOf("/app", 1)}, ""},
		{"itself", []*hcl.Route{redirecting("/a", "/a{rest}", false)}, same},
		{"itself, by name", []*hcl.Route{redirecting("/a", "https://shop.localhost{uri}", false)}, same},
		{"itself, by alias", []*hcl.Route{redirecting("/a", "https://www.shop.localhost{uri}", false)}, again},
		{"itself, with plain HTTP", []*hcl.Route{redirecting("/a", "http://{host}{uri}", false)}, same},
		{"itself, with a star", []*hcl.Route{redirecting("/a/*/b", "{path}", false)}, same},
		{"itself, by dots", []*hcl.Route{redirecting("/a", "/b/../a", true)}, same},
		{"another query", []*hcl.Route{redirecting("/a", "/a?x={uri}", true)}, again},
		{"longer and longer", []*hcl.Route{redirecting("/a", "{path}/", false)}, again},
		{"a slash", []*hcl.Route{redirecting("/a", "{path}/", true)}, ""},
		{"there and back", []*hcl.Route{redirecting("/a", "/b{rest}", false), redirecting("/b", "/a{rest}", false)}, back},
		{"slashes there and back", []*hcl.Route{redirecting("/a", "/a/", true), redirecting("/a/", "/a", true)}, back},
		{"another host", []*hcl.Route{redirecting("/a", "https://shop.example.com{uri}", false)}, ""},
		{"another port", []*hcl.Route{redirecting("/a", "https://shop.localhost:9000{uri}", false)}, ""},
		{"the other host of the file", []*hcl.Route{redirecting("/a", "https://other.localhost{uri}", false)}, ""},
		{"the strange host of the file", []*hcl.Route{redirecting("/a", "https://back.localhost{uri}", false)}, back},
		{"further", []*hcl.Route{redirecting("/a", "/b{rest}", false), redirecting("/b", "/c", false)}, ""},
	} {
		host := hostOf("shop.localhost", nil, test.routes...)
		host.Aliases = []hcl.Name{{Value: "www.shop.localhost"}}
		back := hostOf("back.localhost", nil)
		back.Redirect = redirecting("", "https://shop.localhost{uri}", false).Redirect
		_, diags := Build(fileOf(host, hostOf("other.localhost", to(1)), back), Env{})
		var got string
		for _, d := range diags {
			if d.Severity == hcl.Warning && !strings.Contains(d.Summary, `of route "/" comes back`) {
				got = d.Summary
				break
			}
		}
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
