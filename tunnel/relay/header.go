package relay

import (
	"net/http"
	"slices"

	"github.com/devproxy/devproxy/tunnel/field"
)

// requestFields are the fields of r that go to the agent, as far as package
// field allows them; the framing of its body and an upgrade come on top.
func requestFields(r *http.Request) http.Header {
	out := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		switch name {
		case "Content-Length", "Host": // HTTP/2 may carry a Host too; only :authority counts
		case field.Hop: // by which the agent recognizes a loop through the relay
			out[name] = values
		default:
			if field.Allowed(name, field.Visitor) {
				out[name] = values
			}
		}
	}
	field.DropNamed(out, r.Header["Connection"])
	field.KeepTE(out, r.Header)
	return out
}

// responseFields moves the fields of a response to those of the visitor's.
func responseFields(to, from http.Header) {
	for name, values := range from {
		if !field.IsHopByHop(name) {
			to[name] = values
		}
	}
	field.DropNamed(to, from["Connection"])
	delete(to, "Alt-Svc") // would send browsers past the relay (RFC 7838)
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // keeps net/http from guessing one
	}
}

// sentTrailers are the names of the trailer fields that are passed on, sorted.
func sentTrailers(trailer http.Header) []string {
	var names []string
	for name := range trailer {
		if field.Trailer(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
