package middleware

import "net/http"

// headWriter changes the head of a final answer just before it is written.
type headWriter struct {
	http.ResponseWriter
	head    func(header http.Header, status int)
	written bool
}

// Unwrap is what http.ResponseController looks for.
func (w *headWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader lets informational heads pass as they are.
func (w *headWriter) WriteHeader(status int) {
	if status >= 200 && !w.written {
		w.written = true
		w.head(w.Header(), status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *headWriter) Write(p []byte) (int, error) {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError writes the head if need be, as http.Flusher does.
func (w *headWriter) FlushError() error {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}
