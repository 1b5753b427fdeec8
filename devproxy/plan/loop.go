package plan

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// maxRedirects is how many redirects findLoops follows: more lead to ever longer
// URLs. Browsers follow at least 16.
const maxRedirects = 10

// findLoops warns about redirects that lead back to their own route again and
// again. It follows them through the plan, for the route's path and one below
// it. Routes with conditions may end such a loop, so it doesn't look beyond them.
func (b *builder) findLoops(p *Plan) {
	for _, route := range p.routes() {
		at, redirects := b.redirects[route]
		if !redirects {
			continue
		}
		for _, path := range route.samples() {
			if detail, text := p.loopOf(route, path); text != "" {
				b.warnf(at, detail, "%s", text)
				break
			}
		}
	}
}

// samples returns paths that the route matches, unless another route does.
func (r *Route) samples() []string {
	path, _ := hcl.Overlap(r.Path, r.Path)
	path = encode(path, inPath)
	if r.Exact {
		return []string{path}
	}
	return []string{path, strings.TrimSuffix(path, "/") + "/x"}
}

// loopOf returns the warning for a redirect that leads from path back to route;
// text is empty when it doesn't.
func (p *Plan) loopOf(route *Route, path string) (detail, text string) {
	through, same := p.follow(route, path)
	if !slices.Contains(through, route) {
		return "", ""
	}
	text = `the redirect of route "` + route.Path + `" `
	if i := slices.IndexFunc(through, func(r *Route) bool { return r != route }); i >= 0 {
		text += `comes back to it, through route "` + through[i].Path + `"`
	} else if same {
		text += "leads to the same URL"
	} else {
		text += "leads to the same route"
		if !route.Exact {
			return "add exact = true, or name another path or host", text
		}
	}
	return "name another path or host", text
}

// follow follows the redirects that begin with route at path. It returns the
// routes of the loop that they end in, and whether it is one URL that redirects
// to itself. It returns nil for redirects that end.
func (p *Plan) follow(route *Route, path string) (through []*Route, same bool) {
	at := &url.URL{Scheme: "https", Host: strings.Replace(route.Host.Name, "*", "x", 1), Path: "/"}
	at, err := at.Parse(path)
	if err != nil {
		return nil, false
	}
	var seen []string
	for range maxRedirects {
		own := p.redirectAt(at)
		if own == nil || len(through) == 0 && own != route {
			return nil, false
		}
		seen, through = append(seen, at.String()), append(through, own)
		values := Values{Client: "127.0.0.1", Host: at.Host, Path: at.EscapedPath(), Query: at.RawQuery, ID: "0"}
		if at, err = at.Parse(newMatch(own, at.EscapedPath()).With(values).Location(at.RawQuery)); err != nil {
			return nil, false
		}
		at.Fragment, at.RawFragment = "", ""
		if at.Scheme == "http" {
			at.Scheme = "https" // which devproxy redirects to
		}
		if i := slices.Index(seen, at.String()); i >= 0 {
			return through[i:], len(seen) == 1
		}
	}
	return through[maxRedirects/2:], false // what leads into the loop doesn't count
}

// redirectAt returns the route of a URL of the plan, if it redirects all requests
// there.
func (p *Plan) redirectAt(u *url.URL) *Route {
	if u.Scheme != "https" && u.Scheme != "http" || u.Port() != "" && u.Port() != "443" {
		return nil
	}
	r := Request{Method: "GET", Host: u.Hostname(), Path: cmp.Or(u.EscapedPath(), "/"), RawQuery: u.RawQuery}
	host := p.table.find(normal(r.Host))
	match, err := p.Match(r)
	if host == nil || err != nil {
		return nil
	}
	if _, redirects := match.Route.Answer.(*Redirect); !redirects {
		return nil
	}
	if slices.ContainsFunc(host.tree.fitting(cutPath(r.Path)), func(r *Route) bool { return r.Match.Count() > 0 }) {
		return nil
	}
	return match.Route
}
