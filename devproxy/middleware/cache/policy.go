package cache

import (
	"net/http"
	"strconv"

	"github.com/dunglas/httpsfv"
)

// targeted is the field that tells the caches of a CDN alone what to do (RFC 9213
// section 3.1). This cache obeys it, so that a developer sees what the CDN will do.
// It is passed on, and so are Cache-Control and Expires as they came: what it
// decided here is nothing to the browser.
const targeted = "Cdn-Cache-Control"

// policy is what an answer says to caches.
type policy struct {
	directives
	// expires are the lines of Expires; nil where they do not count.
	expires []string
}

// policyOf reads the targeted field when it is there and valid, and otherwise
// Cache-Control and Expires (RFC 9213 section 2.2).
func policyOf(h http.Header) policy {
	if d := parseTargeted(h[targeted]); len(d) > 0 {
		return policy{directives: d}
	}
	return policy{parseDirectives(h["Cache-Control"]), h["Expires"]}
}

// parseTargeted reads a Dictionary Structured Field (RFC 9213 section 2.1, RFC
// 9651). It is nil for one that is not valid, which is ignored as a whole. A
// directive without an argument is the Boolean true, a number of seconds an
// Integer; parameters are ignored. An argument of another type is none: max-age
// with one is stale, as in Cache-Control.
func parseTargeted(lines []string) directives {
	if len(lines) == 0 {
		return nil
	}
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil
	}
	d := directives{}
	for _, name := range dictionary.Names() {
		member, _ := dictionary.Get(name)
		argument := ""
		if item, ok := member.(httpsfv.Item); ok {
			switch value := item.Value.(type) {
			case bool:
				if !value {
					continue
				}
			case int64:
				argument = strconv.FormatInt(value, 10)
			}
		}
		d[name] = []string{argument}
	}
	return d
}
