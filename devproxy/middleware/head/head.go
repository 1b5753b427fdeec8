// Package head reads the head of a response, and changes it just before it is
// written.
package head

import (
	"net/http"
	"strconv"
)

// Length returns the declared length of a response, or -1 when there is none.
func Length(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Writer calls Change with the final status and header of a response, once,
// before they are written. Informational responses pass unchanged, and so does
// 101, after which the connection belongs to another protocol.
type Writer struct {
	http.ResponseWriter
	Change  func(status int, h http.Header)
	written bool
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Written reports whether the final head is written.
func (w *Writer) Written() bool { return w.written }

// Begin writes a head of 200, as net/http would, if none is written.
func (w *Writer) Begin() {
	if !w.written {
		w.WriteHeader(http.StatusOK)
	}
}

// WriteHeader writes a head.
func (w *Writer) WriteHeader(status int) {
	if status >= 200 && !w.written {
		w.written = true
		w.Change(status, w.Header())
	}
	w.written = w.written || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

func (w *Writer) Write(p []byte) (int, error) {
	w.Begin()
	return w.ResponseWriter.Write(p)
}

// FlushError writes the head first, as http.Flusher does.
func (w *Writer) FlushError() error {
	w.Begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}
