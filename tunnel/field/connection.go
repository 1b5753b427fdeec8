package field

import (
	"net/http"
	"strings"
)

// Hop is the field that carries the devproxy instances a request has passed,
// by which an instance recognizes its own requests.
const Hop = "Devproxy-Hop"

// PublicHost is the field that tells a project under which public host, with the
// port unless it is 443, a visitor of a share asked. All other fields have the
// local one. A client that sends it itself is not believed.
const PublicHost = "Devproxy-Public-Host"

// IsHopByHop reports whether the canonical name is a field that belongs to one
// connection (RFC 9110 section 7.6.1, RFC 9112 section 9.3 and appendix C.2.2)
// or to one proxy (RFC 9110 section 11.7), or one that the writer of a message
// writes itself.
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

// DropNamed removes the fields from h that the lines of a Connection field
// name.
func DropNamed(h http.Header, connection []string) {
	for name := range Elements(connection) {
		h.Del(name)
	}
}

// KeepTE gives out the only value of TE that has a meaning end to end,
// "trailers", when in has it: gRPC asks for it.
func KeepTE(out, in http.Header) {
	if Has(in["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
}

// Upgrade is the protocols that r asks to change to, separated by ", ", of which
// the server chooses (RFC 9110 section 7.8); empty when r does not ask, or may
// not. Cleartext HTTP/2 is never one: it has no place inside TLS, and is obsolete
// (RFC 9113 section 3.1).
func Upgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || !Has(r.Header["Connection"], "upgrade") {
		return ""
	}
	if r.Header.Get("Upgrade") == "" {
		return "" // an empty first line, which others look at
	}
	var protocols []string
	for protocol := range Elements(r.Header["Upgrade"]) {
		if !strings.EqualFold(protocol, "h2c") {
			protocols = append(protocols, protocol)
		}
	}
	return strings.Join(protocols, ", ")
}

// Offered reports whether protocol, which a 101 switches to, is one of asked, as
// Upgrade returns it.
func Offered(asked, protocol string) bool {
	for offer := range Elements([]string{asked}) {
		if strings.EqualFold(offer, protocol) {
			return true
		}
	}
	return false
}
