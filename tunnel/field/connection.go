package field

import (
	"net/http"
	"strings"
)

// Hop is the field with the devproxy instances that a request has passed, by which an
// instance recognizes its own requests.
const Hop = "Devproxy-Hop"

// PublicHost is the field with the public host that a visitor of a share requested, and the
// port unless it is 443. All other fields have the local host. The value of a client is
// dropped.
const PublicHost = "Devproxy-Public-Host"

// IsHopByHop reports whether a field with this canonical name belongs to one connection
// (RFC 9110 section 7.6.1, RFC 9112 section 9.3 and appendix C.2.2) or to one proxy (RFC 9110
// section 11.7), or is written by the writer of a message.
func IsHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// CopyResponse copies the fields of a response from one connection to another,
// except those that belong to one of them. Alt-Svc is dropped: it would send
// browsers past the proxy (RFC 7838).
func CopyResponse(to, from http.Header) {
	for name, values := range from {
		if !IsHopByHop(name) {
			to[name] = values
		}
	}
	DropNamed(to, from["Connection"])
	delete(to, "Alt-Svc")
	if _, ok := to["Content-Type"]; !ok {
		to["Content-Type"] = nil // keeps net/http from guessing one
	}
}

// DropNamed removes the fields from h that the lines of a Connection field name.
func DropNamed(h http.Header, connection []string) {
	for name := range Elements(connection) {
		h.Del(name)
	}
}

// KeepTE copies the only value of TE with a meaning end to end, "trailers", from in to out.
// gRPC needs it.
func KeepTE(out, in http.Header) {
	if Has(in["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
}

// Upgrade returns the protocols to which r offers to switch, separated by ", "; the server
// chooses (RFC 9110 section 7.8). It is empty when r offers none, or may not. It leaves out
// cleartext HTTP/2, which cannot be used inside TLS and is obsolete (RFC 9113 section 3.1).
func Upgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || !Has(r.Header["Connection"], "upgrade") {
		return ""
	}
	if r.Header.Get("Upgrade") == "" {
		return "" // an empty first line: some readers look only at that
	}
	var protocols []string
	for protocol := range Elements(r.Header["Upgrade"]) {
		if !strings.EqualFold(protocol, "h2c") {
			protocols = append(protocols, protocol)
		}
	}
	return strings.Join(protocols, ", ")
}

// Offered reports whether the protocol of a 101 is one of offers, as Upgrade returns them.
func Offered(offers, protocol string) bool {
	for offer := range Elements([]string{offers}) {
		if strings.EqualFold(offer, protocol) {
			return true
		}
	}
	return false
}
