package cache

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/middleware/head"
)

// answer answers q with e: all of it, a part, or 304 (section 4.3.2).
func (c *Cache) answer(w http.ResponseWriter, q *query, e *entry, status string) error {
	h := w.Header()
	writeHeader(h, e, status)
	if e.status != http.StatusOK || !e.body.complete() {
		return follow(w, q, e)
	}
	in := q.r.Clone(q.r.Context())
	// A cache does not evaluate these: they guard changes at an origin (RFC 9110
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
	plainRange(in.Header)
	if _, typed := h["Content-Type"]; !typed {
		h["Content-Type"] = nil // keeps net/http from guessing one
	}
	out := &errorWriter{ResponseWriter: w}
	http.ServeContent(out, in, "", modified, &reader{body: e.body})
	return out.err
}

// notModifiedSince evaluates If-Modified-Since for a response without
// Last-Modified, by its Date (section 4.3.2).
func notModifiedSince(h http.Header, date time.Time) bool {
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	return err == nil && len(h["If-None-Match"]) == 0 && !date.Truncate(time.Second).After(since)
}

// plainRange makes a Range one that http.ServeContent understands. Units ignore
// case, and unknown ones are ignored (RFC 9110 sections 14.1 and 14.2).
func plainRange(h http.Header) {
	unit, set, ok := strings.Cut(h.Get("Range"), "=")
	if ok && strings.EqualFold(unit, "bytes") {
		h.Set("Range", "bytes="+set)
		return
	}
	h.Del("Range")
}

// errorWriter keeps the error that http.ServeContent does not return.
type errorWriter struct {
	http.ResponseWriter
	err error
}

func (w *errorWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *errorWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.err = errors.Join(w.err, err)
	return n, err
}

// writeHeader copies the header, since other requests read the stored one at
// the same time.
func writeHeader(h http.Header, e *entry, status string) {
	maps.Copy(h, e.header.Clone())
	h["Age"] = []string{strconv.FormatInt(int64(e.age(time.Now())/time.Second), 10)}
	addStatus(h, status)
}

// follow writes e as it comes. Its head is in the header already.
func follow(w http.ResponseWriter, q *query, e *entry) error {
	w.WriteHeader(e.status)
	if q.r.Method == http.MethodHead || !hasBody(e.status) {
		return nil
	}
	from, flusher, buffer := &reader{body: e.body}, http.NewResponseController(w), make([]byte, pieceSize)
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
		if !e.body.complete() {
			if err := flusher.Flush(); err != nil {
				return err
			}
		}
		if more, err := from.wait(q.r.Context()); !more || err != nil {
			return err
		}
	}
}

// hasBody follows RFC 9110 section 6.4.1.
func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// hit and forwarded return the cache's own item of Cache-Status (RFC 9211).
func hit(e *entry, now time.Time) string {
	return fmt.Sprintf("devproxy; hit; ttl=%d", int64((e.life-e.age(now))/time.Second))
}

func forwarded(why string) string { return "devproxy; fwd=" + why }

// addStatus adds this cache's Cache-Status, after those of the caches that are
// nearer to the upstream.
func addStatus(h http.Header, status string) {
	h["Cache-Status"] = append(slices.Clip(h["Cache-Status"]), status)
}

// withStatus returns w with the cache's own item in the final head, which change
// gets first.
func withStatus(w http.ResponseWriter, status string, change func(status int, h http.Header)) *head.Writer {
	return &head.Writer{ResponseWriter: w, Change: func(code int, h http.Header) {
		change(code, h)
		addStatus(h, status)
	}}
}
