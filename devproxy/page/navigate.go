package page

import (
	"net/http"

	"github.com/devproxy/devproxy/tunnel/field"
)

// navigates reports whether the response to r is shown to a person: r accepts
// HTML by name ("*/*", which curl and fetch send, is not enough), and a browser
// that says what the response is for (Sec-Fetch-Dest, W3C Fetch Metadata) wants
// a document. A script or style that fails shows text in the browser's tools.
func navigates(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return field.Accepts(r.Header["Accept"], "text/html")
	}
	return false
}
