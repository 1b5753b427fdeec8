// Package rewrite replaces the URLs of one set of hosts by those of another in
// texts that flow by: the bodies of a share's responses and requests.
//
// A URL is found in the spellings that texts use: raw (https://shop.localhost),
// escaped in JSON (https:\/\/shop.localhost, with \u002f too), in HTML
// (&#x2F;), and percent-encoded once or twice (https%3A%2F%2Fshop.localhost). It
// is replaced in the same spelling, with its scheme or without one
// (//shop.localhost), and never inside a longer host.
//
// One pass over the text finds every pair of slashes, and one look-up decides
// about the host after it, so the cost does not grow with the number of names.
//
// Formats that say how long a text is need more than that; of these, the stream of
// React's server components is read: see flight.
//
// Limits: a match is at most maxMatch bytes long, and that is what is held back
// at the end of a piece, also when it is flushed; a tag of a page at most
// maxTag; a page whose Content-Security-Policy has hashes at most maxHeld. What
// is not flushed is collected up to maxSink; a response that ends before gets a
// Content-Length. So a response in progress uses at most maxSink and twice the
// size of its pieces, and a decoder and an encoder if it is compressed. Only maxSinks
// responses at one time collect that much, maxHolding pages are held back, and
// maxCompressed requests accept a compressed response. The bodies of requests are read
// as a whole, up to maxBody each, maxBodiesOf for one visitor and maxBodies for all.
package rewrite

// Names are the hosts whose URLs are replaced.
type Names struct {
	// Ends are the last labels of these hosts, in lower case ("localhost"), and
	// whole addresses in brackets. Replace is called for no other host.
	Ends map[string]bool
	// Replace returns what replaces an authority. The scheme is "https", "http",
	// "wss", "ws", or empty for a URL relative to its scheme; the host is in lower
	// case without a trailing dot; the port is empty if none is written. False
	// leaves the URL unchanged.
	Replace func(scheme, host, port string) (Target, bool)
}

// Target replaces the authority of a URL. Its scheme becomes the encrypted one:
// https for http, wss for ws.
type Target struct {
	// Authority is a host, and a port unless it is the default one.
	Authority string
	// Path is put before the path of the URL: "/api", or empty.
	Path string
}
