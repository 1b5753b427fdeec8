package compress

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"github.com/devproxy/devproxy/tunnel/field"
)

// errShort is of an answer that ends before the length that it had declared.
var errShort = errors.New("the answer is shorter than its Content-Length")

// maxWhole is how much of an answer is kept to see whether it shrinks, in
// bytes. What is flushed before, or longer, is compressed without looking.
const maxWhole = 64 << 10

// Serve answers r with what next answers, compressed where that is possible and
// worth it. The error is next's. An answer that next breaks off is broken off
// here too, without the end that would make it look whole; so is one that is
// shorter than it had declared, which is an error.
func Serve(w http.ResponseWriter, r *http.Request, next func(http.ResponseWriter, *http.Request) error) error {
	if r.Method == http.MethodConnect || r.ProtoMajor == 1 && field.Has(r.Header["Connection"], "upgrade") {
		return next(w, r)
	}
	out := &writer{ResponseWriter: w, r: r}
	if err := next(out, withKnownTags(r)); err != nil {
		return err
	}
	return out.finish()
}

// writer is the way of one answer.
type writer struct {
	http.ResponseWriter
	r      *http.Request
	status int // 0 before the head
	coding *coding
	whole  *bytes.Buffer // what is kept while it is not decided; nil otherwise
	to     encoder       // nil while nothing is compressed
	left   int64         // of the declared length, while net/http cannot watch it; negative for none
}

// Unwrap is what http.ResponseController looks for.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader decides what can be decided by the head.
func (w *writer) WriteHeader(status int) {
	if status < 200 || w.status != 0 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	h := w.Header()
	if !mayChange(status, h) {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	addVary(h)
	weakTags.note(h.Get("Etag"))
	w.coding = choose(w.r.Header["Accept-Encoding"])
	switch {
	case status == http.StatusNotModified:
		describeUnchanged(h, w.r.Header)
		w.ResponseWriter.WriteHeader(status)
	case w.coding == nil:
		w.ResponseWriter.WriteHeader(status)
	case w.r.Method == http.MethodHead:
		w.describeHead(h)
		w.ResponseWriter.WriteHeader(status)
	default:
		w.whole, w.left = &bytes.Buffer{}, length(h)
	}
}

// describeHead makes h what a GET would have, where that is certain: an answer
// longer than maxWhole is always compressed. Of others only the body would show
// whether they shrink, so their coding is not named, and what depends on it is
// left out (RFC 9110 section 9.3.2).
func (w *writer) describeHead(h http.Header) {
	certain := length(h) > maxWhole
	describe(h, w.coding)
	if !certain {
		delete(h, "Content-Encoding")
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.whole == nil && w.to == nil {
		return w.ResponseWriter.Write(p)
	}
	if w.left >= 0 {
		if int64(len(p)) > w.left {
			return 0, http.ErrContentLength
		}
		w.left -= int64(len(p))
	}
	if w.whole != nil {
		if w.whole.Len()+len(p) <= maxWhole {
			return w.whole.Write(p)
		}
		if err := w.begin(); err != nil {
			return 0, err
		}
	}
	return w.to.Write(p)
}

// begin compresses what was kept and all that follows.
func (w *writer) begin() error {
	describe(w.Header(), w.coding)
	w.ResponseWriter.WriteHeader(w.status)
	w.to = w.coding.encoder(w.ResponseWriter)
	_, err := w.to.Write(w.whole.Bytes())
	w.whole = nil
	return err
}

// FlushError sends all that was written, the head alone too.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.whole != nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if w.to != nil {
		if err := w.to.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// finish ends the answer. One that is shorter than declared is left without its
// end, as net/http would leave it: a file may be cut while it is read.
func (w *writer) finish() error {
	switch {
	case w.left > 0:
		return w.breakOff()
	case w.whole != nil:
		return w.finishWhole()
	case w.to != nil:
		if err := w.to.Close(); err != nil {
			return err
		}
		w.coding.release(w.to)
	}
	return nil
}

// breakOff sends what there is, and the head with the declared length.
func (w *writer) breakOff() error {
	if w.whole != nil {
		w.ResponseWriter.WriteHeader(w.status)
		if _, err := w.ResponseWriter.Write(w.whole.Bytes()); err != nil {
			return err
		}
	}
	return errShort
}

// finishWhole sends the shorter one of the answer and its compressed form.
func (w *writer) finishWhole() error {
	plain, small := w.whole.Bytes(), &bytes.Buffer{}
	e := w.coding.encoder(small)
	if _, err := e.Write(plain); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	w.coding.release(e)
	body := plain
	if small.Len() < len(plain) {
		describe(w.Header(), w.coding)
		body = small.Bytes()
	}
	if len(w.Header()["Trailer"]) == 0 { // which only chunks leave room for
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.ResponseWriter.WriteHeader(w.status)
	_, err := w.ResponseWriter.Write(body)
	return err
}
