package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/middleware/head"
)

// Why a response is not kept although it was begun.
var (
	errTooLong = errors.New("the response is too long for the cache")
	errShort   = errors.New("the response is shorter than it declared")
)

// writer takes the upstream's response to a fetch: to the client, to the store,
// or nowhere when an entry is used instead.
type writer struct {
	http.ResponseWriter
	*fetch
	old *entry // the entry being validated; nil if none is
	why string

	header   http.Header
	status   int    // 0 before the head
	instead  bool   // the client gets old, or another try
	new      *entry // the entry being stored
	part     *part  // a range that is kept; nil for none
	kept     bool   // the client reads from the entry, and gets nothing from this writer
	finished bool
}

// Header returns the writer's own header, which is sent only if the response is.
func (w *writer) Header() http.Header { return w.header }

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader decides how the response is handled.
func (w *writer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.inform(status)
		return
	}
	if w.status != 0 {
		return
	}
	w.status = status
	now := time.Now()
	if w.old != nil && (status == http.StatusNotModified || isError(status) && w.old.mayReplaceError(w.q.control, now)) {
		w.instead = true
		return
	}
	w.store(status, now)
	if w.new == nil && w.q.r.Method == http.MethodGet && status < 400 && status != http.StatusNotModified && status != http.StatusPartialContent {
		w.c.setPrivate(w.q.key, true)
	}
	if w.new != nil && w.shared {
		w.kept, w.streams = true, true
		w.decide(w.new)
		return
	}
	w.decide(w.new)
	to := w.ResponseWriter.Header()
	maps.Copy(to, w.header.Clone())
	said := forwarded(w.why)
	if w.new != nil {
		said += "; stored"
	}
	addStatus(to, said)
	w.ResponseWriter.WriteHeader(status)
}

// inform passes an informational head on, which is not kept.
func (w *writer) inform(status int) {
	to := w.ResponseWriter.Header()
	before := to.Clone()
	maps.Copy(to, w.header)
	w.ResponseWriter.WriteHeader(status)
	clear(to)
	maps.Copy(to, before)
}

// store begins an entry if the response may be one.
func (w *writer) store(status int, now time.Time) {
	if status == http.StatusPartialContent && w.old == nil {
		if p := beginPart(w.q, w.header, w.c.maxLength()); p != nil && w.c.grow(p.room, p.length) {
			p.data, w.part = make([]byte, 0, p.length), p
		}
		return
	}
	if w.q.r.Method == http.MethodHead && w.old != nil && status == http.StatusOK {
		w.c.compare(w.old, w.fetch, w.header)
		return
	}
	if !storable(w.q.r, status, w.header, policyOf(w.header)) {
		if w.old != nil && status < 500 {
			w.c.drop(w.old) // there is something newer
		}
		return
	}
	e := newEntry(w.q, status, w.header, w.sent, now)
	if w.c.grow(e, e.headCost()+max(0, head.Length(w.header))) {
		w.new = e
	}
}

func (w *writer) Write(p []byte) (int, error) {
	w.begin()
	if w.instead {
		return len(p), nil
	}
	if w.new != nil && !w.keepPiece(p) {
		if err := w.overflow(); err != nil {
			return 0, err
		}
	}
	if w.part != nil {
		w.part.data = append(w.part.data, p[:min(int64(len(p)), w.part.length-int64(len(w.part.data)))]...)
	}
	if w.kept {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// begin writes a head of 200, as net/http would, if none is written.
func (w *writer) begin() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// overflow gives up storing. The client that began the fetch gets the rest from
// here, once it has read the stored part; others that had begun to read are cut
// off, and try again.
func (w *writer) overflow() error {
	w.giveUp(errTooLong)
	w.c.setPrivate(w.q.key, true) // so that none is cut off next time
	if !w.kept {
		return nil
	}
	w.kept = false
	select {
	case <-w.drained:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// keepPiece returns false when there is not enough room. A declared length was counted at
// the head.
func (w *writer) keepPiece(p []byte) bool {
	more := int64(len(p))
	if declared := head.Length(w.header); declared >= 0 {
		more = max(0, w.new.body.length()+more-declared)
	}
	if more > 0 && !w.c.grow(w.new, more) {
		return false
	}
	w.new.body.write(p)
	return true
}

// FlushError does nothing for a response that clients read from the store: its
// readers flush.
func (w *writer) FlushError() error {
	w.begin()
	if w.instead || w.kept {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// giveUp drops the new entry.
func (w *writer) giveUp(why error) {
	if w.new == nil {
		return
	}
	w.new.body.end(why)
	w.c.release(w.new)
	w.new = nil
}

// abandon cleans up after a response that never finished.
func (w *writer) abandon() {
	if w.part != nil {
		w.c.release(w.part.room)
	}
	if !w.finished {
		w.giveUp(errBrokenOff)
	}
}

// finish ends the fetch: err is how next ended.
func (w *writer) finish(err error, next Handler, in *http.Request) error {
	if err == nil {
		w.begin()
	}
	w.finished = true
	if err != nil {
		if w.status == 0 && w.old != nil && !errors.Is(err, context.Canceled) {
			switch {
			case w.old.mayReplaceError(w.q.control, time.Now()):
				return w.useStale("stale-if-error")
			case w.old.mayBeDisconnected(w.q.control):
				return w.useStale("disconnected")
			}
		}
		w.giveUp(err)
		return err
	}
	switch {
	case w.instead && w.status == http.StatusNotModified:
		return w.freshen(next, in)
	case w.instead:
		return w.useStale("stale-if-error")
	case w.new != nil:
		return w.complete()
	}
	if w.part != nil && int64(len(w.part.data)) == w.part.length && !w.hasTrailers() {
		w.c.combine(w.fetch, w.part)
	}
	w.copyTrailers()
	return nil
}

// complete stores the response if all of it arrived (section 3.3).
func (w *writer) complete() error {
	e := w.new
	if declared := head.Length(e.header); declared >= 0 && declared != e.body.length() && hasBody(e.status) {
		w.giveUp(errShort)
		return errShort
	}
	w.c.setPrivate(w.q.key, w.hasTrailers())
	switch {
	case w.hasTrailers():
		// It turns out to have trailers: it is complete, and not kept.
		w.passTrailers()
		w.c.release(e)
	case !w.c.keep(e, w.fetch):
		w.c.release(e)
	case w.old != nil:
		w.c.drop(w.old) // does nothing if it was replaced
	}
	e.body.end(nil)
	return nil
}

func (w *writer) hasTrailers() bool {
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return len(w.header["Trailer"]) > 0
}

// passTrailers passes on the trailers. A client that reads from the store takes
// the trailers from the fetch.
func (w *writer) passTrailers() {
	if !w.kept {
		w.copyTrailers()
		return
	}
	w.trailers = w.header.Clone()
	maps.DeleteFunc(w.trailers, func(name string, _ []string) bool { return !strings.HasPrefix(name, http.TrailerPrefix) })
}

func (w *writer) copyTrailers() {
	to := w.ResponseWriter.Header()
	for name, values := range w.header {
		if _, there := to[name]; !there || strings.HasPrefix(name, http.TrailerPrefix) {
			to[name] = values
		}
	}
}

// useStale answers with the old entry in place of an error.
func (w *writer) useStale(detail string) error {
	w.decide(nil)
	said := forwarded(w.why)
	if w.status != 0 {
		said += fmt.Sprintf("; fwd-status=%d", w.status)
	}
	return w.c.answer(w.ResponseWriter, w.q, w.old, said+"; detail="+detail)
}

// freshen answers with the entry that the upstream has confirmed (section 4.3.4).
// A 304 about something else says nothing: the request is sent again without
// conditions.
func (w *writer) freshen(next Handler, in *http.Request) error {
	if !sameEntity(w.old, w.header) {
		w.c.drop(w.old)
		in = in.WithContext(in.Context())
		in.Header = in.Header.Clone()
		in.Header.Del("If-None-Match")
		in.Header.Del("If-Modified-Since")
		again := &writer{ResponseWriter: w.ResponseWriter, fetch: w.fetch, why: w.why, header: http.Header{}}
		defer again.abandon()
		return again.finish(next(again, in), next, in)
	}
	said := forwarded(w.why) + "; fwd-status=304"
	if !mayUpdate(w.old, w.header) {
		w.decide(nil)
		return w.c.answer(w.ResponseWriter, w.q, w.old, said)
	}
	fresh := w.old.freshened(w.q, w.header, w.sent, time.Now())
	if w.c.confirm(w.old, fresh, w.fetch) {
		w.decide(fresh)
		said += "; stored"
	}
	w.decide(nil) // does nothing after that
	return w.c.answer(w.ResponseWriter, w.q, fresh, said)
}
