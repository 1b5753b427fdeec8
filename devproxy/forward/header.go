package forward

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// hopHeader carries the instances of devproxy that a request went through, so
// that a loop ends instead of filling every port.
const hopHeader = "Devproxy-Hop"

// hopByHop are the fields that end at this hop (RFC 9110 section 7.6.1), beside
// those that Connection names.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// forwarding are the fields in which proxies tell of the visitor. What a
// visitor says in them of itself is dropped.
var forwarding = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
	"X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
}

// RequestHeader is the header, and the Host, that r is forwarded with. It does
// not change r.
func RequestHeader(r *http.Request, x Exchange, member *plan.Member) (header http.Header, host string) {
	header = r.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	upgrade := upgradeType(r.Header)
	trailers := containsToken(r.Header["Te"], "trailers")
	removeHopByHop(header)
	for _, name := range forwarding {
		delete(header, name)
	}
	setForwarding(header, r, x)
	if trailers {
		header["Te"] = []string{"trailers"} // RFC 9110 section 10.1.4
	}
	if upgrade != "" {
		header["Connection"] = []string{"Upgrade"}
		header["Upgrade"] = []string{upgrade}
	}
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = nil // net/http would send its own
	}

	host = r.Host
	if member.Authority != "" {
		host = member.Authority
	}
	for _, field := range x.Match.Route.RequestHeaders {
		switch {
		case field.Name == "Host" && !field.Remove:
			host = field.Value
		case field.Remove:
			header[field.Name] = nil
		default:
			header[field.Name] = []string{field.Value}
		}
	}
	return header, host
}

func setForwarding(header http.Header, r *http.Request, x Exchange) {
	visitor, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		visitor = "unknown" // RFC 7239 section 6.2
	}
	node := visitor
	if strings.Contains(visitor, ":") {
		node = `"[` + visitor + `]"`
	}
	header["X-Forwarded-For"] = []string{visitor}
	header["X-Forwarded-Host"] = []string{r.Host}
	header["X-Forwarded-Proto"] = []string{x.Scheme}
	header["Forwarded"] = []string{"for=" + node + `;host="` + r.Host + `";proto=` + x.Scheme}
	if x.Match.Route.StripPrefix && x.Match.Route.Path != "/" {
		header["X-Forwarded-Prefix"] = []string{x.Match.Route.Path}
	}
}

// removeHopByHop deletes the fields that end here, and those that Connection
// names.
func removeHopByHop(header http.Header) {
	for _, value := range header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				header.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(header, name)
	}
}

// upgradeType is the protocol that a request or response switches to; empty
// for none.
func upgradeType(header http.Header) string {
	if !containsToken(header["Connection"], "upgrade") {
		return ""
	}
	return header.Get("Upgrade")
}

func containsToken(values []string, token string) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
		return false
	})
}

// copyResponseHeader writes an upstream's header fields for the visitor.
func copyResponseHeader(to, from http.Header, route *plan.Route) {
	for name, values := range from {
		to[name] = append([]string(nil), values...)
	}
	removeHopByHop(to)
	// Alt-Svc would send browsers to the upstream's own port (RFC 7838).
	delete(to, "Alt-Svc")
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // net/http would guess one
	}
	for _, field := range route.ResponseHeaders {
		if field.Remove {
			delete(to, field.Name)
		} else {
			to[field.Name] = []string{field.Value}
		}
	}
}
