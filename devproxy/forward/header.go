package forward

import (
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// hopField carries the instances that a request has passed.
const hopField = "Devproxy-Hop"

// RequestHeader is the header and the Host that in is forwarded with to m: its
// own end-to-end fields, then what devproxy says of the visitor, then what the
// route sets. It changes nothing and sends nothing. The hop field, by which a
// running devproxy recognises its own requests, is not in it.
func RequestHeader(in *http.Request, x Exchange, m *plan.Member) (header http.Header, host string) {
	out := make(http.Header, len(in.Header)+6)
	for name, values := range in.Header {
		if !isHopByHop(name) && !isForwarding(name) {
			out[name] = values
		}
	}
	dropNamed(out, in.Header["Connection"])
	if hasToken(in.Header["Te"], "trailers") {
		// Its only value with a meaning end to end: gRPC asks for it.
		out["Te"] = []string{"trailers"}
	}
	if protocol := upgradeOf(in); protocol != "" {
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{protocol}
	}
	if cookies := out["Cookie"]; len(cookies) > 0 {
		if out["Cookie"] = withoutSticky(cookies); len(out["Cookie"]) == 0 {
			delete(out, "Cookie")
		}
	}
	setForwarding(out, in, x)
	applyFields(out, x.Match.Route.RequestHeaders)
	return out, requestHost(in, x, m)
}

// requestHost is what the Proxyfile says, else the visitor's.
func requestHost(in *http.Request, x Exchange, m *plan.Member) string {
	for _, field := range x.Match.Route.RequestHeaders {
		if field.Name == "Host" && !field.Remove {
			return field.Value
		}
	}
	switch {
	case m.Authority != "":
		return m.Authority
	case in.Host != "":
		return in.Host
	}
	// An HTTP/1.0 visitor need not say; the upstream's HTTP/1.1 must hear.
	return urlHost(m)
}

// isHopByHop lists the fields that belong to one connection (RFC 9110 section
// 7.6.1, RFC 9112 section 9.3 and appendix C.2.2) and those that net/http writes
// by itself.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
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

// applyFields makes h say what a route says. Fields of the connection and of
// the body's length are not a route's to set.
func applyFields(h http.Header, fields []plan.Header) {
	for _, field := range fields {
		switch {
		case isHopByHop(field.Name), field.Name == "Host", field.Name == "Content-Length":
		case field.Remove:
			delete(h, field.Name)
		default:
			h[field.Name] = []string{field.Value}
		}
	}
}

// responseHeader moves the header of an answer to the visitor's.
func responseHeader(to, from http.Header, route *plan.Route) {
	for name, values := range from {
		if !isHopByHop(name) {
			to[name] = values
		}
	}
	dropNamed(to, from["Connection"])
	delete(to, "Alt-Svc") // would send browsers past devproxy (RFC 7838)
	applyFields(to, route.ResponseHeaders)
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // keeps net/http from guessing one
	}
}

func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	rest, ok := strings.CutPrefix(kind, "application/grpc")
	return ok && r.ProtoMajor == 2 && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// upgradeOf is the protocol that a request asks to change to, empty when it
// does not or may not (RFC 9110 section 7.8).
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
