package answer

import (
	"io"
	"net/http"
	"strconv"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// Respond answers with what x says. A body is text/plain in UTF-8 unless the
// headers name another type; with a status that has none (204, 205, 304) it is
// left out. Content-Length and Transfer-Encoding are never taken from the
// headers: they are facts about the message.
//
// The error is always nil: a fixed answer cannot fail, and every answer is
// called alike.
func Respond(w http.ResponseWriter, r *http.Request, x *plan.Respond) error {
	h := w.Header()
	for _, field := range x.Headers {
		h.Set(field.Name, field.Value)
	}
	h.Del("Transfer-Encoding")
	h.Del("Content-Length")
	if !hasBody(x.Status) {
		w.WriteHeader(x.Status)
		return nil
	}
	if x.Body != "" {
		setDefault(h, "Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(x.Body)))
	w.WriteHeader(x.Status)
	if r.Method != http.MethodHead {
		// A visitor that is gone needs no answer.
		_, _ = io.WriteString(w, x.Body)
	}
	return nil
}

// hasBody follows RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}
