package share

import (
	"net/http"

	"github.com/devproxy/devproxy/tunnel/field"
)

// navigates reports whether the response to r is shown to a person: r accepts
// HTML by name ("*/*", which curl and fetch send, is not enough), and a browser
// that says what the response is for (W3C Fetch Metadata) opens a document.
func navigates(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Mode") {
	case "", "navigate":
	default:
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return field.Accepts(r.Header["Accept"], "text/html")
	}
	return false
}
