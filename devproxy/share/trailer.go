package share

import (
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
)

// Trailers takes out of the header of a response whose body has been written
// the trailer fields that visitors must not get. It is to be called when
// nothing more is set.
func (s *Share) Trailers(h http.Header) {
	for name := range h {
		if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && !field.Trailer(trailer) {
			delete(h, name)
		}
	}
}

// outwardTrailer takes out of the announced trailers those that must not be.
// What is sent unannounced in their place, Trailers drops.
func outwardTrailer(h http.Header) {
	var kept []string
	for name := range field.Elements(h["Trailer"]) {
		if field.Trailer(name) {
			kept = append(kept, name)
		}
	}
	if delete(h, "Trailer"); len(kept) > 0 {
		h["Trailer"] = kept
	}
}
