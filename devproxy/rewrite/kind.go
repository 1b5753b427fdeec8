package rewrite

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/coding"
)

// kind says how a response is changed.
type kind int

const (
	untouched kind = iota
	plain          // a text with URLs
	markup         // an HTML page
	rows           // of a flight
)

// texts are the media types whose URLs are replaced, next to HTML, +json and +xml.
// text/plain and text/markdown are for people.
var texts = []string{
	"text/css", "text/event-stream", "text/xml", "application/xml",
	"text/javascript", "application/javascript", "application/x-javascript", "application/ecmascript", "text/ecmascript",
	"application/json", "text/json", "application/x-ndjson", "application/jsonl", "application/json-seq",
	// What frameworks send to their own scripts: React Router, Turbo.
	"text/x-script", "text/vnd.turbo-stream.html",
}

// kindOf returns the kind of a media type, and its charset in lower case.
func kindOf(contentType string) (k kind, charset string) {
	name, parameters, err := mime.ParseMediaType(contentType)
	if err != nil { // browsers ignore parameters that are invalid
		name, _, _ = strings.Cut(contentType, ";")
		name = strings.ToLower(strings.TrimSpace(name))
	}
	charset = strings.ToLower(parameters["charset"])
	switch {
	case name == "text/html":
		return markup, charset
	case name == "text/x-component": // React's server components
		return rows, charset
	case slices.Contains(texts, name):
		return plain, charset
	case strings.HasPrefix(name, "application/grpc"): // which has frames
		return untouched, charset
	case strings.HasSuffix(name, "+json"), strings.HasSuffix(name, "+xml"):
		return plain, charset
	}
	return untouched, charset
}

// isASCII reports whether a charset writes ASCII as ASCII, and nothing else with
// those bytes: UTF-8, and the single bytes that browsers use without a charset.
func isASCII(charset string) bool {
	switch charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252":
		return true
	}
	return false
}

// codingOf returns the content coding of h; false if it is not known.
func codingOf(h http.Header) (name string, known bool) {
	name = strings.Join(h["Content-Encoding"], ",")
	return name, coding.Known(name)
}

// digests are fields about the exact bytes of a body (RFC 9530, RFC 3230, RFC 1864).
var digests = []string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// describe makes h the header of a response whose URLs are replaced.
func describe(h http.Header, mark string) {
	for _, name := range digests {
		delete(h, name)
		delete(h, http.TrailerPrefix+name)
	}
	delete(h, "Content-Length")
	if h["Accept-Ranges"] != nil {
		h["Accept-Ranges"] = []string{"none"}
	}
	if tag := h.Get("Etag"); tag != "" {
		h["Etag"] = []string{markTag(tag, mark)}
	} else {
		delete(h, "Last-Modified") // it does not change with the names
	}
	withoutTrailers(h)
}

// withoutTrailers removes the announcements of digests.
func withoutTrailers(h http.Header) {
	var kept []string
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" && !slices.Contains(digests, name) {
				kept = append(kept, name)
			}
		}
	}
	if delete(h, "Trailer"); kept != nil {
		h["Trailer"] = kept
	}
}
