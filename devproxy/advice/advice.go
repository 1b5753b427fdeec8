// Package advice looks at an upstream's response as a browser does. It warns
// about everything that browsers will refuse or leak, and rewrites URLs and
// cookies that are valid only for the upstream's own address.
package advice

import (
	"net/http"
	"strings"
	"sync"
)

// Of returns what browsers will refuse of a response of host: a sentence each, with
// what to write instead. It is nil for most.
func Of(h http.Header, host string) []string {
	var told []string
	for _, line := range h["Set-Cookie"] {
		if text := ofCookie(parseCookie(line), host); text != "" {
			told = append(told, text)
		}
	}
	if h.Get("Access-Control-Allow-Origin") == "*" && h.Get("Access-Control-Allow-Credentials") == "true" {
		told = append(told, `browsers refuse Access-Control-Allow-Origin: * with credentials: name the origin, or write cors = true in the route`)
	}
	return told
}

// DropHSTS removes Strict-Transport-Security (RFC 6797) from a response of a
// .localhost name: browsers would keep it for months, and for other
// projects with that name.
func DropHSTS(h http.Header, host string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		delete(h, "Strict-Transport-Security")
	}
}

// maxTold is how many sentences are remembered; when there are more, all are
// forgotten.
const maxTold = 1000

// Once lets each sentence about a route pass a single time. The zero value is
// ready to use; it is safe for concurrent use.
type Once struct {
	mu   sync.Mutex
	told map[[2]string]struct{}
}

// New returns those of the sentences that it has not returned for route before.
func (o *Once) New(route string, sentences []string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var fresh []string
	for _, sentence := range sentences {
		key := [2]string{route, sentence}
		if _, told := o.told[key]; told {
			continue
		}
		if o.told == nil || len(o.told) >= maxTold {
			o.told = map[[2]string]struct{}{}
		}
		o.told[key] = struct{}{}
		fresh = append(fresh, sentence)
	}
	return fresh
}
