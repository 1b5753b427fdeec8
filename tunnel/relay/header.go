package relay

import (
	"net/http"
	"slices"
	"strings"
)

// isHopByHop lists the fields that belong to one connection (RFC 9110 section
// 7.6.1, RFC 9112 section 9.3 and appendix C.2.2), and those that are written
// by who writes the message.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// isForwarding lists the fields by which proxies speak of the visitor. What a
// visitor says there is not passed on: the head of the stream says it.
func isForwarding(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip",
		"Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Original-Forwarded-For":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded")
}

// requestFields are the fields of r that go to the agent; the framing of its
// body and an upgrade come on top.
func requestFields(r *http.Request) http.Header {
	out := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		// HTTP/2 may carry a Host beside :authority; only that one counts.
		if !isHopByHop(name) && !isForwarding(name) && name != "Content-Length" && name != "Host" {
			out[name] = values
		}
	}
	dropNamed(out, r.Header["Connection"])
	if hasToken(r.Header["Te"], "trailers") {
		// Its only value with a meaning end to end: gRPC asks for it.
		out["Te"] = []string{"trailers"}
	}
	return out
}

// responseFields moves the fields of a response to those of the visitor's.
func responseFields(to, from http.Header) {
	for name, values := range from {
		if !isHopByHop(name) {
			to[name] = values
		}
	}
	dropNamed(to, from["Connection"])
	delete(to, "Alt-Svc") // would send browsers past the relay (RFC 7838)
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // keeps net/http from guessing one
	}
}

// dropNamed removes the fields that the Connection field names.
func dropNamed(h http.Header, connection []string) {
	for _, value := range connection {
		for token := range strings.SplitSeq(value, ",") {
			h.Del(strings.TrimSpace(token))
		}
	}
}

// hasToken reports whether a comma-separated field holds token in any case,
// alone or with parameters.
func hasToken(values []string, token string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			item, _, _ = strings.Cut(item, ";")
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// upgradeOf is the protocol that a request asks to change to, empty when it
// does not or may not (RFC 9110 section 7.8). Cleartext HTTP/2 has no place
// inside of TLS (RFC 9113 section 3.1).
func upgradeOf(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || !hasToken(r.Header["Connection"], "upgrade") {
		return ""
	}
	protocol := r.Header.Get("Upgrade")
	if strings.EqualFold(protocol, "h2c") {
		return ""
	}
	return protocol
}

// sentTrailers are the names of the trailer fields that are passed on, sorted.
func sentTrailers(trailer http.Header) []string {
	var names []string
	for name := range trailer {
		if !isHopByHop(name) && !isForwarding(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
