package check

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
)

// pages opens the pages of the project as visitors do.
func (r *run) pages(ctx context.Context, hosts []host) {
	for _, h := range hosts {
		if h.wild {
			continue // which names have a page is not known
		}
		r.about = h.local
		ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
		r.page(ctx, h, hosts)
		cancel()
	}
}

// page opens one host's page, and looks at what is in it.
func (r *run) page(ctx context.Context, h host, hosts []host) {
	started := time.Now()
	p, ok := r.opened(ctx, h, hosts)
	if !ok {
		return
	}
	r.answered(h, p, rounded(time.Since(started)))
	if p.status >= http.StatusBadRequest {
		return
	}
	r.localURLs(p, hosts)
	r.cookies(ctx, h, p, hosts)
	r.hotReload(ctx, h, p)
}

// opened is a page after its redirects.
type opened struct {
	at       *url.URL
	status   int
	body     string // at most maxPage of it
	external string // the host that the page leads to, if it is not the project's
	cookies  []*http.Cookie
}

// open returns where a visitor begins: the link, or the first path that is shared.
func (r *run) open(h host) string {
	if len(r.Share.Paths) == 0 || slices.ContainsFunc(r.Share.Paths, func(p string) bool { return p == "/" }) {
		return h.open
	}
	u, err := url.Parse(h.open)
	if err != nil {
		return h.open
	}
	u.Path = r.Share.Paths[0]
	return u.String()
}

// opened follows the redirects of a page. ok is false when that ends the check of it.
func (r *run) opened(ctx context.Context, h host, hosts []host) (p opened, ok bool) {
	address := r.open(h)
	for range maxRedirects {
		res, err := r.visitor.do(ctx, http.MethodGet, address, nil, false, "Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none")
		if err != nil {
			r.fault("page", "devproxy logs", "the page does not open: %s", reason(err))
			return p, false
		}
		text, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
		res.Body.Close()
		if err != nil {
			r.fault("page", "devproxy logs", "the page breaks off: %s", reason(err))
			return p, false
		}
		p.at, p.status, p.body, p.cookies = res.Request.URL, res.StatusCode, string(text), append(p.cookies, res.Cookies()...)
		next, err := res.Location()
		if err != nil || res.StatusCode < 300 || res.StatusCode > 399 {
			return p, true
		}
		switch {
		case shared(hosts, next.Host) && next.Scheme == "https":
			address = next.String()
		case isLocal(next.Hostname()):
			r.fault("page", r.fixLocal(next.Host), "the page redirects visitors to %s://%s%s, which exists on their own machine only", next.Scheme, next.Host, next.Path)
			return p, false
		default:
			p.external = next.Host
			return p, true
		}
	}
	r.fault("page", "devproxy logs", "the page redirects more than %d times", maxRedirects)
	return p, false
}

// answered says what a visitor sees first.
func (r *run) answered(h host, p opened, took time.Duration) {
	switch route, waiting := r.waiting(h); {
	case p.status == http.StatusUnauthorized && r.Share.Password:
		r.unknown("page", "", "visitors enter the password first, which this check does not know")
	case p.status == http.StatusForbidden && len(r.Share.Allow) > 0:
		r.unknown("page", "devproxy share --check, from a network that is allowed", "this machine's public address is not in `allow`")
	case p.status >= http.StatusInternalServerError && waiting:
		r.fault("page", "start the server behind "+route.Upstream, "upstream: nothing answers at %s; visitors see a waiting page", route.Upstream)
	case p.status >= http.StatusInternalServerError:
		r.fault("page", "devproxy logs", "visitors see an error, %d %s", p.status, http.StatusText(p.status))
	case p.external != "":
		r.fine("page", "the page leads to %s, in %s", p.external, took)
	case p.status == http.StatusMisdirectedRequest:
		r.fault("page", "devproxy share", "relay: it does not know the name %s", p.at.Host)
	default:
		r.fine("page", "visitors get %d %s, in %s", p.status, http.StatusText(p.status), took)
	}
}

// waiting returns the route of a host's page, if its upstream does not answer.
func (r *run) waiting(h host) (control.Route, bool) {
	for _, served := range r.Hosts {
		if served.Name != h.local {
			continue
		}
		for _, route := range served.Routes {
			if route.Path == "/" && (route.State == control.StateWaiting || route.State == control.StateUnhealthy) {
				return route, true
			}
		}
	}
	return control.Route{}, false
}

// localURL matches URLs that mean the visitor's own machine, with escaped slashes too.
var localURL = regexp.MustCompile(`(?i)\b(?:https?|wss?):\\?/\\?/((?:[a-z0-9_-]+\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]|0\.0\.0\.0)(:[0-9]{1,5})?`)

// maxLocal bounds how many local hosts of a page are named.
const maxLocal = 5

// localURLs names the URLs of a page that visitors cannot reach.
func (r *run) localURLs(p opened, hosts []host) {
	var seen []string
	for _, m := range localURL.FindAllStringSubmatch(p.body, -1) {
		authority := strings.ToLower(m[1] + m[2])
		// Behind a relay on this machine the public names are local too.
		if slices.Contains(seen, authority) || shared(hosts, authority) {
			continue
		}
		if seen = append(seen, authority); len(seen) > maxLocal {
			return
		}
		r.warning("local URLs", r.fixLocal(authority), "the page has URLs of %s, which visitors can't reach", authority)
	}
}

// fixLocal says how visitors can reach what a local URL means.
func (r *run) fixLocal(authority string) string {
	u := url.URL{Host: authority}
	name := u.Hostname()
	for _, other := range r.Share.NotShared {
		if other.Name == name {
			return "devproxy share " + name + ", which is not shared: " + other.Reason
		}
	}
	if slices.ContainsFunc(r.Share.Hosts, func(h control.SharedHost) bool { return h.Name == name }) {
		return "set the app's URLs to paths, such as /api, or to the host of the request"
	}
	if port := u.Port(); port != "" {
		return "add a route or a host for port " + port + " to the Proxyfile, and use its URL in the app"
	}
	return "add it to the Proxyfile as a host"
}

// cookies names the cookies that the app means for several hosts and that each host has
// for itself in this share.
func (r *run) cookies(ctx context.Context, h host, p opened, hosts []host) {
	if r.Local == nil || len(hosts) < 2 {
		return
	}
	served := slices.IndexFunc(r.Hosts, func(s control.Host) bool { return s.Name == h.local })
	if served < 0 {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Hosts[served].URL, nil)
	if err != nil {
		return
	}
	res, err := r.Local.Do(req)
	if err != nil {
		return // its upstream may have gone
	}
	res.Body.Close()
	for _, local := range res.Cookies() {
		at := slices.IndexFunc(p.cookies, func(c *http.Cookie) bool { return c.Name == local.Name })
		if local.Domain != "" && at >= 0 && p.cookies[at].Domain == "" {
			r.warning("cookies", `set share { cookies = "shared" } in the Proxyfile`, "the cookie %q is for %s and its subdomains; in this share each host has its own", local.Name, local.Domain)
		}
	}
}

// The client of Vite's hot reload: its token, and the port that it has been told.
var (
	viteToken = regexp.MustCompile(`wsToken = "([^"]*)"`)
	vitePort  = regexp.MustCompile(`hmrPort = (\d+)`)
	viteHost  = regexp.MustCompile(`hmrPort \|\| importMetaUrl\.port\}\$\{"([^"]*)"\}`)
)

func first(e *regexp.Regexp, text, otherwise string) string {
	if m := e.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return otherwise
}

// hotReload opens the socket of the dev server's client, if the page has one that is
// known.
func (r *run) hotReload(ctx context.Context, h host, p opened) {
	switch {
	case strings.Contains(p.body, "/@vite/client"):
		r.vite(ctx, h)
	case strings.Contains(p.body, "/_next/static/"):
		status, err := r.hotSocket(ctx, h, "/_next/webpack-hmr", "", "")
		if status == http.StatusNotFound {
			return // built for production
		}
		r.hot("Next", status, err)
	}
}

func (r *run) vite(ctx context.Context, h host) {
	res, err := r.visitor.do(ctx, http.MethodGet, h.url.String()+"/@vite/client", nil, false, "Sec-Fetch-Site", "same-origin")
	if err != nil {
		r.fault("hot reload", "devproxy logs", "Vite's client does not load: %s", reason(err))
		return
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		r.fault("hot reload", "devproxy logs", "Vite's client does not load: %d %s", res.StatusCode, http.StatusText(res.StatusCode))
		return
	}
	client := string(text)
	if port := first(vitePort, client, ""); port != "" && port != h.url.Port() {
		r.fault("hot reload", "remove server.hmr.port and clientPort from vite.config", "Vite's client connects to port %s, which the link does not have", port)
		return
	}
	token := first(viteToken, client, "")
	status, err := r.hotSocket(ctx, h, first(viteHost, client, "/"), "token="+url.QueryEscape(token), "vite-hmr")
	r.hot("Vite", status, err)
}

func (r *run) hot(tool string, status int, err error) {
	switch {
	case err == nil:
		r.fine("hot reload", "%s's socket opens", tool)
	case status != 0:
		r.fault("hot reload", "devproxy logs", "%s's socket is refused: %d %s", tool, status, http.StatusText(status))
	default:
		r.fault("hot reload", "devproxy logs", "%s's socket does not open: %s", tool, reason(err))
	}
}

// hotSocket opens a WebSocket of the app as the host's page does.
func (r *run) hotSocket(ctx context.Context, h host, path, query, protocol string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	at := h.url.String() + path
	if query != "" {
		at += "?" + query
	}
	conn, status, err := r.visitor.socket(ctx, at, protocol, http.Header{"Origin": {h.url.String()}})
	if err == nil {
		_ = conn.Close(websocket.StatusNormalClosure, "") // it has opened
	}
	return status, err
}
