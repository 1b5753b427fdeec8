package plan

import (
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// maxRedirects is how many redirects findLoops follows: more lead to ever longer
// URLs, and less than browsers follow (16 and more).
const maxRedirects = 10

// findLoops warns of redirects that lead back to their own route, again and again.
// It follows them through the plan, for the route's path and one below it. Routes
// with conditions may end such a loop, so it does not look behind them.
func (b *builder) findLoops(p *Plan) {
	for _, host := range p.hosts {
		for _, route := range host.Routes {
			at, redirects := b.redirects[route]
			if !redirects {
				continue
			}
			for _, path := range route.samples() {
				if detail, text := p.loopOf(route, path); text != "" {
					b.warnOnce(at, detail, b.file.Mask.Text(text))
					break
				}
			}
		}
	}
}

// samples are paths that the route takes unless another one does.
func (r *Route) samples() []string {
	path, _ := hcl.Overlap(r.Path, r.Path)
	path = encode(path, inPath)
	if r.Exact {
		return []string{path}
	}
	return []string{path, strings.TrimSuffix(path, "/") + "/x"}
}

// loopOf is what to say of a redirect that leads from path back to route; text is
// empty when it does not.
func (p *Plan) loopOf(route *Route, path string) (detail, text string) {
	host := strings.Replace(route.Host.Name, "*", "x", 1)
	at := &url.URL{Scheme: "https", Host: host, Path: "/"}
	var err error
	if at, err = at.Parse(path); err != nil {
		return "", ""
	}
	var seen []string
	var through []*Route
	for range maxRedirects {
		own := p.redirectAt(at)
		if own == nil || len(through) == 0 && own != route {
			return "", ""
		}
		seen, through = append(seen, at.String()), append(through, own)
		to := newMatch(own, at.EscapedPath()).With(Values{Client: "127.0.0.1", Host: at.Host, Path: at.EscapedPath(), Query: at.RawQuery, ID: "0"}).Location(at.RawQuery)
		if at, err = at.Parse(to); err != nil {
			return "", ""
		}
		at.Fragment, at.RawFragment = "", ""
		if at.Scheme == "http" {
			at.Scheme = "https" // which a redirect leads to
		}
		if i := slices.Index(seen, at.String()); i >= 0 {
			through = through[i:]
			break
		}
		if len(seen) == maxRedirects {
			through = through[maxRedirects/2:] // where it came in does not count
		}
	}
	other := slices.IndexFunc(through, func(r *Route) bool { return r != route })
	switch {
	case !slices.Contains(through, route):
		return "", ""
	case other >= 0:
		return "name another path or host", "the redirect of route " + quoted(route) + " comes back to it, through route " + quoted(through[other])
	case len(seen) == 1:
		return "name another path or host", "the redirect of route " + quoted(route) + " leads to the same URL"
	case route.Exact:
		return "name another path or host", "the redirect of route " + quoted(route) + " leads to the same route"
	}
	return "add exact = true, or name another path or host", "the redirect of route " + quoted(route) + " leads to the same route"
}

func quoted(r *Route) string { return `"` + r.Path + `"` }

// redirectAt is the route of a URL of the plan, when it redirects all requests
// there.
func (p *Plan) redirectAt(u *url.URL) *Route {
	if u.Scheme != "https" && u.Scheme != "http" || u.Port() != "" && u.Port() != "443" {
		return nil
	}
	r := Request{Method: "GET", Host: u.Hostname(), Path: u.EscapedPath(), RawQuery: u.RawQuery}
	if r.Path == "" {
		r.Path = "/"
	}
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
