package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Why an answer is not kept that was begun to be.
var (
	errTooLong = errors.New("the answer is too long for the cache")
	errShort   = errors.New("the answer is shorter than it had declared")
)

// writer takes what the upstream answers to a fetch: to the visitor, to the
// store, or to nobody when an entry is used instead.
type writer struct {
	http.ResponseWriter
	*fetch
	old *entry // what is validated; nil for nothing
	why string

	header   http.Header
	status   int    // 0 before the head
	instead  bool   // the visitor gets old, or another try
	new      *entry // what is stored, on its way
	part     *part  // a range that is kept; nil for none
	kept     bool   // the visitor is given what is stored, and nothing by this writer
	finished bool
}

// Header is the writer's own, which reaches the visitor only if it is for them.
func (w *writer) Header() http.Header { return w.header }

// Unwrap is what http.ResponseController looks for.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader decides what becomes of the answer.
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
	switch {
	case w.old != nil && status == http.StatusNotModified:
		w.instead = true
		return
	case w.old != nil && isError(status) && w.old.mayHideError(w.q.asked, now):
		w.instead = true
		return
	}
	w.store(status, now)
	if w.new == nil && w.q.r.Method == http.MethodGet && status < 400 && status != http.StatusNotModified && status != http.StatusPartialContent {
		w.c.noteAlone(w.q.key, true)
	}
	if w.new != nil && w.shared {
		w.kept, w.streams = true, true
		w.decide(w.new)
		return
	}
	w.decide(w.new)
	to := w.ResponseWriter.Header()
	for name, values := range w.header {
		to[name] = append([]string(nil), values...)
	}
	said := forwarded(w.why)
	if w.new != nil {
		said += "; stored"
	}
	addStatus(to, said)
	w.ResponseWriter.WriteHeader(status)
}

// inform passes an informational head on, which is nothing to keep.
func (w *writer) inform(status int) {
	to := w.ResponseWriter.Header()
	before := to.Clone()
	for name, values := range w.header {
		to[name] = values
	}
	w.ResponseWriter.WriteHeader(status)
	clear(to)
	for name, values := range before {
		to[name] = values
	}
}

// store begins an entry if the answer may be one.
func (w *writer) store(status int, now time.Time) {
	if status == http.StatusPartialContent && w.old == nil {
		if p := beginPart(w.q, w.header, w.c.mostFor()); p != nil && w.c.grow(p.room, p.length) {
			p.data, w.part = make([]byte, 0, p.length), p
		}
		return
	}
	if w.q.r.Method == http.MethodHead && w.old != nil && status == http.StatusOK {
		w.c.told(w.old, w.q, w.header, w.sent, w.fetch)
		return
	}
	d := policyOf(w.header)
	if !storable(w.q.r, status, w.header, d) {
		if w.old != nil && status < 500 {
			w.c.drop(w.old) // there is something newer
		}
		return
	}
	e := newEntry(w.q, status, w.header, w.sent, now)
	if w.c.grow(e, e.headCost()+max(0, length(w.header))) {
		w.new = e
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
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

// overflow gives up storing. Who began the fetch gets the rest from here, once
// they have read what was kept; others who had begun to read are broken off, and
// ask again.
func (w *writer) overflow() error {
	w.give(errTooLong)
	w.c.noteAlone(w.q.key, true) // so that nobody is broken off next time
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

// keepPiece is false when there is no room for it. What was declared was
// counted at the head.
func (w *writer) keepPiece(p []byte) bool {
	more := int64(len(p))
	if declared := length(w.header); declared >= 0 {
		more = max(0, w.new.body.length()+more-declared)
	}
	if more > 0 && !w.c.grow(w.new, more) {
		return false
	}
	w.new.body.write(p)
	return true
}

// FlushError is nothing to the store.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.instead || w.kept {
		return nil // who reads what is stored flushes by themselves
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// give gives the new entry up.
func (w *writer) give(why error) {
	if w.new == nil {
		return
	}
	w.new.body.end(why)
	w.c.release(w.new)
	w.new = nil
}

// abandon is for an answer that never finished.
func (w *writer) abandon() {
	if w.part != nil {
		w.c.release(w.part.room)
	}
	if !w.finished {
		w.give(errBrokenOff)
	}
}

// finish ends the fetch: err is how next ended.
func (w *writer) finish(err error, next Handler, in *http.Request) error {
	if err == nil && w.status == 0 {
		w.WriteHeader(http.StatusOK) // as net/http would
	}
	w.finished = true
	switch {
	case err != nil && w.status == 0 && w.old != nil && w.old.mayHideError(w.q.asked, time.Now()) && !errors.Is(err, context.Canceled):
		return w.useStale("stale-if-error")
	case err != nil && w.status == 0 && w.old != nil && w.old.mayBeDisconnected(w.q.asked) && !errors.Is(err, context.Canceled):
		return w.useStale("disconnected")
	case err != nil:
		w.give(err)
		return err
	case w.instead && w.status == http.StatusNotModified:
		return w.freshen(next, in)
	case w.instead:
		return w.useStale("stale-if-error")
	case w.new == nil:
		if w.part != nil && int64(len(w.part.data)) == w.part.length && !w.hasTrailers() {
			w.c.combine(w.fetch, w.part)
		}
		w.copyTrailers()
		return nil
	}
	return w.complete()
}

// complete stores what came, if all of it did (section 3.3).
func (w *writer) complete() error {
	e := w.new
	if declared := length(e.header); declared >= 0 && declared != e.body.length() && hasBody(e.status) {
		w.give(errShort)
		return errShort
	}
	w.c.noteAlone(w.q.key, w.hasTrailers())
	if w.hasTrailers() {
		w.passTrailers()
		return nil
	}
	if !w.c.keep(e, w.fetch) {
		w.c.release(e)
	} else if w.old != nil {
		w.c.drop(w.old) // a no-op where it was replaced
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

// passTrailers ends an answer that turns out to have trailers: it is whole, and
// not kept. Who reads what was stored takes them by themselves.
func (w *writer) passTrailers() {
	if !w.kept {
		w.copyTrailers()
	} else {
		w.behind = http.Header{}
		for name, values := range w.header {
			if strings.HasPrefix(name, http.TrailerPrefix) {
				w.behind[name] = values
			}
		}
	}
	w.c.release(w.new)
	w.new.body.end(nil)
}

// copyTrailers passes on what came behind the body.
func (w *writer) copyTrailers() {
	to := w.ResponseWriter.Header()
	for name, values := range w.header {
		if _, there := to[name]; !there || strings.HasPrefix(name, http.TrailerPrefix) {
			to[name] = values
		}
	}
}

// useStale answers with what an error is hidden by.
func (w *writer) useStale(detail string) error {
	w.decide(nil)
	said := forwarded(w.why)
	if w.status != 0 {
		said += fmt.Sprintf("; fwd-status=%d", w.status)
	}
	return w.c.answer(w.ResponseWriter, w.q, w.old, said+"; detail="+detail)
}

// freshen answers with the entry that the upstream has confirmed (section
// 4.3.4). A 304 about something else is no answer: what it is about is asked for
// without conditions.
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
	w.decide(nil) // without effect after that
	return w.c.answer(w.ResponseWriter, w.q, fresh, said)
}
