package advice

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// LoopError is the error of a redirect that would lead the browser back to the
// URL that it requested, again and again.
type LoopError struct {
	// URL was requested, and Location is where the upstream redirects to.
	URL, Location string
	// Told is the scheme that the upstream was told.
	Told string
	// Own is true when Location is at the requested host; else it is at the
	// upstream's own address. Asked is true when that is the Host that it was sent.
	Own, Asked bool
	// Status is the status of the redirect.
	Status int
}

// Error describes the upstream's response.
func (e *LoopError) Error() string {
	return fmt.Sprintf("the upstream answered %d with a redirect to %s, which is the address that was requested", e.Status, e.Location)
}

// Page is how a client is shown the error.
func (e *LoopError) Page() page.Page {
	p := page.Page{
		Status: http.StatusLoopDetected, Title: "This app redirects to itself in a loop.",
		Lead: page.Sentence(e.Error()) + " devproxy stopped it.",
	}
	if hint := e.Hint(); hint != "" {
		p.Hints = []string{hint}
	}
	return p
}

// Hint says what to write in the Proxyfile or in the app.
func (e *LoopError) Hint() string {
	u, err := url.Parse(e.Location)
	switch {
	case err != nil, e.Asked:
		return ""
	case !e.Own && u.Scheme == "https":
		return fmt.Sprintf("The upstream requires HTTPS: write `upstream = %q`.", "https://"+u.Host)
	case !e.Own:
		return fmt.Sprintf("The app requires its own address: write `request_headers = { Host = %q }`.", u.Host)
	case e.Told == "http" && u.Scheme == "https":
		return "The app redirects to HTTPS because it was told that its clients use HTTP: remove `forwarded_proto = \"http\"`."
	case e.Told == "https" && u.Scheme == "http":
		return "The app redirects HTTPS clients to HTTP: write `forwarded_proto = \"http\"`, which tells it that they use HTTP."
	case u.Scheme == "https":
		return "The app assumes that its clients use HTTP. Make it read X-Forwarded-Proto, or turn off its redirect to HTTPS in development. `forwarded_proto = \"http\"` does not help here."
	}
	return ""
}

// Loop returns the loop that res would begin, or nil. target is path and query as they
// were requested, told the scheme that the upstream was told. A redirect is a loop when
// it leads to the requested URL and nothing can make the next response differ:
// neither a cookie that the browser did not have nor a form that was sent.
//
// again means that the redirect may be intended once, and the browser may follow it:
// it is not permanent, and leads to the host and the scheme that the upstream was told.
func (o Outside) Loop(res *http.Response, r *http.Request, target, told string) (loop *LoopError, again bool) {
	if !redirects(res.StatusCode, r.Method) || setsCookie(res.Header, r) {
		return nil, false
	}
	location := res.Header.Get("Location")
	u, err := url.Parse(location)
	if err != nil || u.Scheme == "" {
		return nil, false // a reference without a scheme
	}
	asked := o.Origin + target
	if to, _, _ := strings.Cut(o.Reference(location), "#"); !sameURL(to, asked) {
		return nil, false
	}
	loop = &LoopError{URL: asked, Location: location, Told: told, Own: o.isOrigin(u), Status: res.StatusCode}
	permanent := res.StatusCode == http.StatusMovedPermanently || res.StatusCode == http.StatusPermanentRedirect
	loop.Asked = !loop.Own && o.isAsked(u)
	return loop, (loop.Asked || loop.Own && u.Scheme == told) && !permanent
}

// isAsked reports whether u has exactly the Host and the scheme of requests to a member
// of the upstream, as one on another machine has.
func (o Outside) isAsked(u *url.URL) bool {
	return o.anyMember(func(m plan.Member) bool {
		host, port := splitAuthority(m.Authority)
		return (u.Scheme == "https") == (m.Scheme == plan.SchemeHTTPS) && sameHost(host, u.Hostname()) && cmp.Or(port, defaultPort(u.Scheme)) == portOrDefault(u)
	})
}

// ToldScheme returns the scheme that the upstream of a route is told for clients that
// use scheme.
func ToldScheme(route *plan.Route, scheme string) string {
	for _, field := range route.RequestHeaders {
		if field.Name == "X-Forwarded-Proto" && !field.Remove {
			return strings.ToLower(field.Value)
		}
	}
	if route.ForwardedHTTP {
		return "http"
	}
	return scheme
}

// redirects reports whether the browser requests the Location of a status with the same
// method.
func redirects(status int, method string) bool {
	switch status {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		return method == http.MethodGet || method == http.MethodHead
	}
	return false
}

// setsCookie reports whether h sets a cookie that r does not have with that value.
func setsCookie(h http.Header, r *http.Request) bool {
	var sent []string
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			sent = append(sent, trim(pair))
		}
	}
	return slices.ContainsFunc(h["Set-Cookie"], func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return !slices.Contains(sent, trim(pair))
	})
}

// sameURL compares two URLs of http or https as a browser requests them.
func sameURL(a, b string) bool {
	first, err := url.Parse(a)
	second, otherErr := url.Parse(b)
	return err == nil && otherErr == nil && first.Scheme == second.Scheme && first.RequestURI() == second.RequestURI() && first.User == nil &&
		sameHost(first.Hostname(), second.Hostname()) && portOrDefault(first) == portOrDefault(second)
}

const (
	// maxAgain is how often a client may be redirected to the URL that it requested
	// within againTime: less than browsers (16 and more) and Go's client (10) follow.
	maxAgain  = 8
	againTime = 10 * time.Second
	// maxAgainURLs bounds how many URLs are remembered; when there are more, all are
	// forgotten.
	maxAgainURLs = 256
)

// Again counts redirects to the requested URL. The zero value is ready to use;
// it is safe for concurrent use.
type Again struct {
	mu   sync.Mutex
	seen map[[2]any]*againCount // by the client and the URL
}

type againCount struct {
	since time.Time
	n     int
}

// TooOften notes that client was redirected from url to url, and reports whether
// that has happened maxAgain times within againTime.
func (a *Again) TooOften(client any, url string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := [2]any{client, url}
	count := a.seen[key]
	if count == nil || time.Since(count.since) > againTime {
		if a.seen == nil || len(a.seen) >= maxAgainURLs {
			a.seen = map[[2]any]*againCount{}
		}
		count = &againCount{since: time.Now()}
		a.seen[key] = count
	}
	count.n++
	return count.n >= maxAgain
}
