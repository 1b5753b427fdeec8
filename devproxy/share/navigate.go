package share

import (
	"net/http"
	"strconv"
	"strings"
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
		return acceptsHTML(r.Header.Values("Accept"))
	}
	return false
}

// acceptsHTML reads Accept (RFC 9110 section 12.5.1) for text/html with
// a weight above zero.
func acceptsHTML(accept []string) bool {
	for _, line := range accept {
		for element := range strings.SplitSeq(line, ",") {
			mediaType, parameters, _ := strings.Cut(element, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") && weight(parameters) > 0 {
				return true
			}
		}
	}
	return false
}

// weight is the value of q among parameters; 1 where there is none, and 0
// where there is one that is no number.
func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return q
		}
	}
	return 1
}
