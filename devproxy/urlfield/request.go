package urlfield

import "net/http"

// pageFields are the request fields that are the URL of a page or of a resource of
// the asked host: that of the page that asks (RFC 9110 section 10.1.3, and htmx's
// and Turbolinks' own), and where WebDAV copies and moves to (RFC 4918 section
// 10.3).
var pageFields = []string{"Referer", "Hx-Current-Url", "Turbolinks-Referrer", "Destination"}

// Request replaces the Origin of a request by what origin returns, and each URL
// in its fields by what url returns. Fields with several lines stay as they are:
// no browser sends them.
func Request(h http.Header, origin, url func(string) string) {
	one := func(name string, f func(string) string) {
		if lines := h[name]; len(lines) == 1 {
			if is := f(lines[0]); is != lines[0] {
				h[name] = []string{is}
			}
		}
	}
	one("Origin", origin)
	for _, name := range pageFields {
		one(name, url)
	}
}
