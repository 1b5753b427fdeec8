package cache

import (
	"fmt"
	"net/http"
	"time"
)

// hit and forwarded are the cache's own item of Cache-Status (RFC 9211).
func hit(e *entry, now time.Time) string {
	return fmt.Sprintf("devproxy; hit; ttl=%d", int64((e.life-e.age(now))/time.Second))
}

func forwarded(why string) string { return "devproxy; fwd=" + why }

// addStatus says what this cache did, behind those that are nearer to the
// upstream.
func addStatus(h http.Header, status string) {
	h["Cache-Status"] = append(append([]string(nil), h["Cache-Status"]...), status)
}

// passing is a writer that looks at the head of an answer.
type passing struct {
	http.ResponseWriter
	status string
	head   func(status int, h http.Header) // nil does nothing
	done   bool
}

// Unwrap is what http.ResponseController looks for.
func (w *passing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader looks at the final one.
func (w *passing) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		w.done = true
	}
	if status >= 200 && !w.done {
		w.done = true
		if w.head != nil {
			w.head(status, w.Header())
		}
		addStatus(w.Header(), w.status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// finish ends an answer of which nothing was written: net/http makes that a 200,
// unseen.
func (w *passing) finish(err error) error {
	if err == nil && !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return err
}

func (w *passing) Write(p []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError writes the head if need be, as http.Flusher does.
func (w *passing) FlushError() error {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}
