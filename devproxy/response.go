package devproxy

import (
	"maps"
	"net/http"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// responseWriter notes what is written through it, for the exchange's record.
// http.ResponseController reaches the writer below through Unwrap.
type responseWriter struct {
	http.ResponseWriter
	status int           // the final status; 0 while there is none
	bytes  int64         // of the body
	fields []plan.Header // what the route sets and removes, last
	// advise looks at the head of an upstream's answer and mends it; nil leaves
	// it as it is.
	advise func(header http.Header, status int)
	// outward makes a head public, after all else; nil leaves it as it is.
	outward func(header http.Header, status int)
	// trailers takes out of the header what must not come after the body; nil
	// leaves it as it is.
	trailers func(header http.Header)
}

// Unwrap is what http.ResponseController looks for.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the final status. Informational ones (RFC 9110 section
// 15.2) pass, but for 101, after which the connection is no longer HTTP.
func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	if status >= 200 {
		setHeaders(w.Header(), w.fields)
	}
	if w.advise != nil && status != http.StatusSwitchingProtocols {
		w.advise(w.Header(), status)
	}
	if w.outward != nil {
		if status < 200 && status != http.StatusSwitchingProtocols {
			// What is taken out of this head may belong to the final one.
			defer restore(w.Header(), maps.Clone(w.Header()))
		}
		w.outward(w.Header(), status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// restore makes header what it was.
func restore(header, was http.Header) {
	clear(header)
	maps.Copy(header, was)
}

// end is called when nothing more is written.
func (w *responseWriter) end() {
	if w.trailers != nil {
		w.trailers(w.Header())
	}
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
