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

// LoopError is the error of a redirect that would bring the browser back to the
// URL that it has asked, again and again.
type LoopError struct {
	// URL is what was asked, and Location where the upstream redirects to.
	URL, Location string
	// Told is the scheme that the upstream was told.
	Told string
	// Own is true when Location is at the host that was asked; else it is at the
	// upstream's own address. Asked is true when that is the Host that it was sent.
	Own, Asked bool
	// Status is the status of the redirect.
	Status int
}

// Error says what the upstream did.
func (e *LoopError) Error() string {
	return fmt.Sprintf("the upstream answered %d with a redirect to %s, which is the address that was asked", e.Status, e.Location)
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

// Scheme is the scheme that the upstream redirects to, in lower case.
func (e *LoopError) Scheme() string {
	scheme, _, _ := strings.Cut(e.Location, "://")
	return strings.ToLower(scheme)
}

// Hint says what to write in the Proxyfile or in the app.
func (e *LoopError) Hint() string {
	u, err := url.Parse(e.Location)
	switch {
	case err != nil, e.Asked:
		return ""
	case !e.Own && e.Scheme() == "https":
		return fmt.Sprintf("The upstream wants HTTPS: write `upstream = %q`.", "https://"+u.Host)
	case !e.Own:
		return fmt.Sprintf("The app insists on its own address: write `request_headers = { Host = %q }`.", u.Host)
	case e.Told == "http" && e.Scheme() == "https":
		return "The app upgrades to HTTPS because it was told that its clients use HTTP: remove `forwarded_proto = \"http\"`."
	case e.Told == "https" && e.Scheme() == "http":
		return "The app sends clients of HTTPS back to HTTP: write `forwarded_proto = \"http\"`, and it is told that they use HTTP."
	case e.Scheme() == "https":
		return "The app believes that it is asked over HTTP. Have it read X-Forwarded-Proto, or switch off its redirect to HTTPS in development. `forwarded_proto = \"http\"` does not help here."
	}
	return ""
}

// Loop is the loop that res would begin, or nil. target is path and query as they
// were asked, told the scheme that the upstream was told. A redirect is a loop when
// it leads to the URL that was asked, and nothing else can make the next answer
// another one: a cookie that the browser did not have, or a form that was sent.
//
// What may still be meant is left to the browser, and to again: a redirect to the
// host and in the scheme that the upstream was told, which is not permanent.
func (o Outside) Loop(res *http.Response, r *http.Request, target, told string) (loop *LoopError, again bool) {
	if !redirects(res.StatusCode, r.Method) || setsCookie(res.Header, r) {
		return nil, false
	}
	location := res.Header.Get("Location")
	u, err := url.Parse(location)
	if err != nil || u.Scheme == "" {
		return nil, false // it is in no scheme of its own
	}
	asked := o.Origin + target
	if to, _, _ := strings.Cut(o.Reference(location), "#"); !sameURL(to, asked) {
		return nil, false
	}
	loop = &LoopError{URL: asked, Location: location, Told: told, Own: o.isOrigin(u), Status: res.StatusCode}
	permanent := res.StatusCode == http.StatusMovedPermanently || res.StatusCode == http.StatusPermanentRedirect
	loop.Asked = !loop.Own && o.isAsked(u)
	return loop, (loop.Asked || loop.Own && loop.Scheme() == told) && !permanent
}

// isAsked reports whether u is at the very Host and in the scheme that a member of
// the upstream is asked for, as one elsewhere is.
func (o Outside) isAsked(u *url.URL) bool {
	return slices.ContainsFunc(slices.Concat(o.Upstream.Members, o.Upstream.Fallback), func(m plan.Member) bool {
		secure := m.Scheme == plan.SchemeHTTPS
		host, port := splitAuthority(m.Authority)
		return (u.Scheme == "https") == secure && sameHost(host, u.Hostname()) && cmp.Or(port, defaultPort(u.Scheme)) == cmp.Or(u.Port(), defaultPort(u.Scheme))
	})
}

// ToldScheme is the scheme that the upstream of a route is told, where its clients
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

// redirects reports whether the browser asks the Location of a status with the same
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

// setsCookie reports whether h has a cookie that r has not, or with another value.
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

// sameURL compares two URLs of http or https as a browser asks them.
func sameURL(a, b string) bool {
	first, err := url.Parse(a)
	second, otherErr := url.Parse(b)
	if err != nil || otherErr != nil || first.Scheme != second.Scheme || first.RequestURI() != second.RequestURI() || first.User != nil {
		return false
	}
	port := func(u *url.URL) string {
		if port := u.Port(); port != "" {
			return port
		}
		return defaultPort(u.Scheme)
	}
	return sameHost(first.Hostname(), second.Hostname()) && port(first) == port(second)
}

const (
	// maxAgain is how often a client may be redirected to the URL that it has asked
	// within againTime: less than browsers (16 and more) and Go's client (10) follow.
	maxAgain  = 8
	againTime = 10 * time.Second
	// maxAgainURLs bounds how many URLs are remembered; when there are more, all are
	// forgotten.
	maxAgainURLs = 256
)

// Again counts redirects to the URL that was asked. The zero value is ready; it is
// safe for concurrent use.
type Again struct {
	mu   sync.Mutex
	seen map[againKey]*againCount
}

type againKey struct {
	client any
	url    string
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
	key := againKey{client, url}
	count := a.seen[key]
	if count == nil || time.Since(count.since) > againTime {
		if a.seen == nil || len(a.seen) >= maxAgainURLs {
			a.seen = map[againKey]*againCount{}
		}
		count = &againCount{since: time.Now()}
		a.seen[key] = count
	}
	count.n++
	return count.n >= maxAgain
}
