package main

import (
	"maps"
	"net/http"
	"slices"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// here is the visitor's address in an explanation: a browser of this machine.
const here = "127.0.0.1:0"

// sentHeaders are the fields of the request as the upstream's first member gets
// them: Host first, then by name, and what the route takes off last.
func sentHeaders(m plan.Match, u *plan.Upstream, v *visit) []changed {
	r := &http.Request{Method: v.method, Host: v.authority, Header: v.header, RemoteAddr: here}
	header, host := forward.RequestHeader(r, forward.Exchange{Match: m, Scheme: v.scheme}, &u.Members[0])
	list := []changed{{Name: "Host", Value: host}}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			list = append(list, changed{Name: name, Value: value})
		}
	}
	for _, field := range m.Route.RequestHeaders {
		if field.Remove {
			list = append(list, changed{Name: field.Name, Remove: true})
		}
	}
	return list
}
