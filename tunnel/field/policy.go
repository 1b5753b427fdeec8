// Package field decides which header fields pass, and reads them. The relay, a share and
// the forwarder use it, so that all three agree.
//
// # Fields a client may not send
//
// Allowed decides by the kind of a field (see Kind), separately for clients of the local
// listener and for visitors of a share. Apps, frameworks and dev servers trust these fields
// because only a proxy is supposed to set them, and devproxy is that proxy. Everything else
// passes, including X-Http-Method-Override and the fields that frameworks' own clients send
// (Rsc, Next-Action, X-Nextjs-Data, X-Middleware-Prefetch, X-Inertia, Turbo-Frame,
// Hx-Request). An app that honours a method override, in a field or in a form, can therefore
// see another method than the one that a route's match.methods compared.
//
// A Proxyfile's request_headers are applied after the policy and may set any of these fields
// on purpose.
//
// # Names that servers read as others
//
// CGI (RFC 3875 section 4.1.18) and its descendants WSGI, Rack and PHP read "-" and "_" as the
// same character, and some servers read any punctuation as "_". So names are compared in
// their folded form: lower case, everything but letters and digits as "-". A name with other
// punctuation than "-" is dropped when its folded form is one that the policy controls or
// that frames and describes the message: Transfer_Encoding, Content.Length, Remote_User. Any
// other (my_header) passes.
//
// # The address of a visitor
//
// See Shown.
package field

import (
	"net/http"
	"slices"
)

// Client is the kind of client that sent a request.
type Client uint8

const (
	// Local is a client of the local listener: the developer's browser and tools, or a
	// device that `access` allows.
	Local Client = iota
	// Visitor is a client of a share.
	Visitor
)

// Kind says what a field would make an app believe.
type Kind uint8

const (
	// None is a field that always passes.
	None Kind = iota
	// Message fields frame or describe the message, or are set by the browser. They pass in
	// their own spelling and are dropped in any other.
	Message
	// Connection fields belong to one connection; see IsHopByHop.
	Connection
	// Address fields have the client's address. devproxy writes its own.
	Address
	// Target fields give apps another scheme, host or path than the one that devproxy
	// matched, guarded and authorized, or say how to deliver a file.
	Target
	// Environment fields become environment variables that programs obey:
	// Proxy becomes HTTP_PROXY (httpoxy, CVE-2016-5385).
	Environment
	// Own fields are devproxy's.
	Own
	// Edge fields describe a request as a CDN or a hosting platform sees it.
	Edge
	// Internal fields are those that a framework sends to itself.
	Internal
	// Identity fields name the signed-in user or the client's certificate.
	Identity
)

// dropsForAll reports whether fields of kind k are dropped for local clients too. The others
// cannot harm a local client's own machine, and developers send them by hand to test their
// app.
func (k Kind) dropsForAll() bool {
	switch k {
	case Connection, Address, Target, Environment, Own:
		return true
	}
	return false
}

// Allowed reports whether a request field may pass from c to an app. Fields of the connection
// may not.
func Allowed(name string, c Client) bool {
	if common[name] {
		return true
	}
	var room [maxName]byte
	folded, odd := fold(room[:0], name)
	kind := kindOf(folded)
	switch {
	case kind == None:
		return true
	case odd:
		return false
	case kind == Message:
		return true
	}
	return c == Local && !kind.dropsForAll()
}

// Trailer reports whether a field may pass in the trailer section of a request or response.
// Fields that the policy controls may not, nor those that the recipient needs before the
// body: for framing, routing, authentication, request modifiers, response control and the
// content's format (RFC 9110 section 6.5.1), and cookies. Some recipients merge trailers into
// the header.
func Trailer(name string) bool {
	var room [maxName]byte
	folded, _ := fold(room[:0], name)
	return kindOf(folded) == None && !isEarly(folded)
}

// Trailers returns the fields of a trailer section that may pass and have a value. A field
// that was announced and never sent has none. net/http must not get one: its server never ends
// an HTTP/2 response whose trailers are all empty.
func Trailers(in http.Header) http.Header {
	out := http.Header{}
	for name, values := range in {
		if len(values) > 0 && Trailer(name) {
			out[name] = values
		}
	}
	return out
}

// TrailerNames returns the names of the fields of a trailer section that may pass,
// sorted.
func TrailerNames(in http.Header) []string {
	names := make([]string, 0, len(in))
	for name := range in {
		if Trailer(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isEarly reports whether the recipient needs a field before the body. Digests of the content
// may come after it.
func isEarly(folded []byte) bool {
	switch name := string(folded); name {
	case "content-md5", "content-digest":
		return false
	default:
		return early[name] || hasPrefix(folded, "if-") || hasPrefix(folded, "content-") || hasPrefix(folded, "cross-origin-")
	}
}

// maxName is longer than every name of the tables. Longer names are folded on the heap.
const maxName = 64

// fold appends the folded form of name to b. odd is true for a name with other punctuation
// than "-", which some servers read as another name.
func fold(b []byte, name string) (folded []byte, odd bool) {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-':
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		default:
			c, odd = '-', true
		}
		b = append(b, c)
	}
	return b, odd
}

// kindOf looks up a folded name: exact names, then prefixes, then suffixes.
func kindOf(folded []byte) Kind {
	if kind, ok := exact[string(folded)]; ok {
		return kind
	}
	if len(folded) == 0 {
		return None
	}
	if c := folded[0]; c >= 'a' {
		for _, r := range prefixes[c-'a'] {
			if hasPrefix(folded, r.text) {
				return r.kind
			}
		}
	}
	switch folded[len(folded)-1] {
	case 'p', 'r': // the last letters of all suffixes
		for _, suffix := range addressSuffixes {
			if n := len(folded) - len(suffix); n >= 0 && string(folded[n:]) == suffix {
				// Dropped for visitors only: the name is unknown, and may be the app's own.
				return Edge
			}
		}
	}
	return None
}

func hasPrefix(folded []byte, prefix string) bool {
	return len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix
}
