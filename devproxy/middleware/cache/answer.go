package cache

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer answers q with e: whole, a part of it, or 304 (section 4.3.2).
func (c *Cache) answer(w http.ResponseWriter, q *query, e *entry, status string) error {
	h := w.Header()
	writeHeader(h, e, status)
	if e.status != http.StatusOK || !e.body.whole() {
		return follow(w, q, e)
	}
	in := q.r.Clone(q.r.Context())
	// Not a cache's to evaluate: they guard what an origin would change (RFC 9110
	// section 13.2.1).
	in.Header.Del("If-Match")
	in.Header.Del("If-Unmodified-Since")
	modified, _ := http.ParseTime(h.Get("Last-Modified"))
	if modified.IsZero() && notModifiedSince(in.Header, e.date) {
		delete(h, "Content-Type")
		delete(h, "Content-Length")
		delete(h, "Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	readableRange(in.Header)
	if _, typed := h["Content-Type"]; !typed {
		h["Content-Type"] = nil // keeps net/http from guessing one
	}
	out := &counting{ResponseWriter: w}
	http.ServeContent(out, in, "", modified, &reader{spool: e.body})
	return out.err
}

// notModifiedSince evaluates If-Modified-Since for an answer without
// Last-Modified, by its Date (section 4.3.2).
func notModifiedSince(h http.Header, date time.Time) bool {
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	return err == nil && len(h["If-None-Match"]) == 0 && !date.Truncate(time.Second).After(since)
}

// readableRange makes a Range one that http.ServeContent reads. Units are the
// same in any case, and those that are not known are ignored (RFC 9110 sections
// 14.1 and 14.2).
func readableRange(h http.Header) {
	unit, set, ok := strings.Cut(h.Get("Range"), "=")
	if ok && strings.EqualFold(unit, "bytes") {
		h.Set("Range", "bytes="+set)
		return
	}
	h.Del("Range")
}

// counting keeps the error that http.ServeContent does not return.
type counting struct {
	http.ResponseWriter
	err error
}

func (w *counting) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *counting) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.err = errors.Join(w.err, err)
	return n, err
}

// writeHeader copies, since what is kept is read by others at the same time.
func writeHeader(h http.Header, e *entry, status string) {
	for name, values := range e.header {
		h[name] = append([]string(nil), values...)
	}
	h["Age"] = []string{strconv.FormatInt(int64(e.age(time.Now())/time.Second), 10)}
	addStatus(h, status)
}

// follow writes e as it comes. Its head is in the header already.
func follow(w http.ResponseWriter, q *query, e *entry) error {
	w.WriteHeader(e.status)
	if q.r.Method == http.MethodHead || !hasBody(e.status) {
		return nil
	}
	from, control, buffer := &reader{spool: e.body}, http.NewResponseController(w), make([]byte, pieceSize)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, io.EOF) {
			return err
		}
		if !e.body.whole() {
			if err := control.Flush(); err != nil {
				return err
			}
		}
		if more, err := from.wait(q.r.Context()); !more || err != nil {
			return err
		}
	}
}

// hasBody lists who has none (RFC 9110 section 6.4.1).
func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
