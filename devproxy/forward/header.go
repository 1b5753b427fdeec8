package forward

import (
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

// RequestHeader is the header and the Host that in is forwarded with to m: its
// own end-to-end fields as far as package field allows them, then what devproxy
// says of the visitor, then what the route sets. It changes nothing and sends
// nothing. The hop field, by which a running devproxy recognises its own
// requests, is not in it.
func RequestHeader(in *http.Request, x Exchange, m *plan.Member) (header http.Header, host string) {
	client := field.Local
	if x.PublicHost != "" {
		client = field.Visitor
	}
	out := make(http.Header, len(in.Header)+6)
	for name, values := range in.Header {
		if field.Allowed(name, client) {
			out[name] = values
		}
	}
	field.DropNamed(out, in.Header["Connection"])
	field.KeepTE(out, in.Header)
	if protocol := field.Upgrade(in); protocol != "" {
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{protocol}
	}
	if cookies := out["Cookie"]; len(cookies) > 0 {
		if out["Cookie"] = withoutSticky(cookies); len(out["Cookie"]) == 0 {
			delete(out, "Cookie")
		}
	}
	host = requestHost(in, x, m)
	setForwarding(out, in, x)
	setOrigin(out, in, x, m, host)
	applyFields(out, x.Match.Route.RequestHeaders)
	return out, host
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

// applyFields makes h say what a route says. Fields of the connection and of
// the body's length are not a route's to set.
func applyFields(h http.Header, fields []plan.Header) {
	for _, f := range fields {
		switch {
		case field.IsHopByHop(f.Name), f.Name == "Host", f.Name == "Content-Length":
		case f.Remove:
			delete(h, f.Name)
		default:
			h[f.Name] = []string{f.Value}
		}
	}
}

// responseHeader moves the header of an answer to the visitor's.
func responseHeader(to, from http.Header, route *plan.Route) {
	field.CopyResponse(to, from)
	applyFields(to, route.ResponseHeaders)
}

func isGRPC(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	rest, ok := strings.CutPrefix(kind, "application/grpc")
	return ok && r.ProtoMajor == 2 && (rest == "" || rest[0] == '+' || rest[0] == ';')
}
