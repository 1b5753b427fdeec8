package cache

import (
	"net/http"
	"net/url"
	"strings"
)

// key is the effective URI of a request (RFC 9110 section 7.1) in its parts. A
// text of all parts could be cut in other places: host "a/b" and path "/c" would
// be host "a" and path "/b/c".
type key struct {
	secure bool   // https
	host   string // the authority, in lower case
	target string // path and query as they came: which are the same is the upstream's to say

	// audience is Client.Audience: what one may have is not for another.
	audience string
}

func keyOf(r *http.Request, client Client) key {
	k := key{client.Secure, strings.ToLower(r.Host), r.RequestURI, client.Audience}
	if !strings.HasPrefix(k.target, "/") {
		k.target = r.URL.RequestURI()
	}
	return k
}

// size is what k counts for in bytes.
func (k key) size() int { return len("https://") + len(k.host) + len(k.target) + len(k.audience) }

// refer is the key of a reference in an answer for k, if it is of the same
// origin. Others' are not this one's to invalidate (RFC 9111 section 4.4).
func (k key) refer(reference string) (referred key, ok bool) {
	base, err := url.ParseRequestURI(k.target)
	if err != nil || reference == "" {
		return key{}, false
	}
	base.Scheme, base.Host = "http", k.host
	if k.secure {
		base.Scheme = "https"
	}
	to, err := base.Parse(reference)
	if err != nil || to.Scheme != base.Scheme || !strings.EqualFold(to.Host, k.host) {
		return key{}, false
	}
	return key{k.secure, k.host, to.RequestURI(), k.audience}, true
}

// query is a request as the cache sees it.
type query struct {
	r     *http.Request
	key   key
	asked asked
}

func newQuery(r *http.Request, client Client) *query {
	return &query{r, keyOf(r, client), parseAsked(r.Header)}
}
