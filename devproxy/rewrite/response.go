package rewrite

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/devproxy/devproxy/devproxy/coding"
	"github.com/devproxy/devproxy/devproxy/middleware/head"
)

var (
	// errShort is the error of a response that ends before its declared length.
	errShort = errors.New("the response is shorter than its Content-Length")
	// errPart is the error of a part of a body whose URLs would be replaced.
	errPart = errors.New("a part of a text cannot be changed")
)

// Options configure the responses to one visitor.
type Options struct {
	// Names are replaced.
	Names *Names
	// Policy replaces the sources of a Content-Security-Policy in a page.
	Policy func(string) string
	// Mark identifies the names: letters and digits. Entity tags depend on it.
	Mark string
	// Tell gets sentences for the developer, perhaps often the same.
	Tell func(string)
	// See gets the text of a body, decoded, before it is passed on. Nil is for none.
	See func([]byte)
}

// Response replaces the URLs in a response that is written through it. Create it
// with NewResponse. Call Finish when the response is complete, and Free in any case.
//
// It changes HTML, CSS, JavaScript, JSON, XML and event streams in UTF-8, with the
// content codings that package coding knows. Everything else passes byte for byte.
// Cache-Control: no-transform does not prevent it: for visitors, devproxy is a part of
// the origin.
type Response struct {
	http.ResponseWriter
	opts Options
	r    *http.Request
	ours bool // the request had an entity tag of ours

	status int
	sent   bool  // the head was passed on
	part   bool  // of a text: nothing is written
	left   int64 // of the declared length; negative for none
	err    error

	in      io.Writer // the first step; nil if the body passes
	decoder *decoder
	start   *intake
	encoder coding.Encoder
	sink    *sink
}

// NewResponse returns a writer for the response to r, as Request made it.
func NewResponse(w http.ResponseWriter, r *Request, opts Options) *Response {
	return &Response{ResponseWriter: w, opts: opts, r: r.Request, ours: r.ours}
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *Response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader changes the header, if the body is changed.
func (w *Response) WriteHeader(status int) {
	if status < 200 || w.status != 0 {
		if !w.part && w.in == nil {
			w.ResponseWriter.WriteHeader(status)
		}
		return
	}
	w.status = status
	h := w.Header()
	k := w.kind(h)
	switch {
	case status == http.StatusNotModified:
		if tag := h.Get("Etag"); tag != "" && w.ours {
			h["Etag"] = []string{markTag(tag, w.opts.Mark)}
		}
	case status == http.StatusPartialContent && (k != untouched || hasParts(h)) && w.r.Header.Get("Range") != "":
		w.part = true
		return
	case k == untouched, status == http.StatusPartialContent, status == http.StatusNoContent, h.Get("Content-Range") != "":
	default:
		w.left = head.Length(h)
		describe(h, w.opts.Mark)
		if w.r.Method != http.MethodHead && w.left != 0 {
			w.change(k)
			return // the head is sent before the first bytes
		}
	}
	w.sendHead()
}

// kind returns how the body is changed.
func (w *Response) kind(h http.Header) kind {
	k, charset := kindOf(h.Get("Content-Type"))
	if k == untouched {
		return k
	}
	if !isASCII(charset) {
		w.opts.Tell(fmt.Sprintf("local URLs in responses with charset %.40q are not rewritten for visitors; use UTF-8", charset))
		return untouched
	}
	if name, known := codingOf(h); !known {
		w.opts.Tell(fmt.Sprintf("local URLs in responses with Content-Encoding %.40q are not rewritten for visitors; use gzip, br, zstd or none", name))
		return untouched
	}
	return k
}

// hasParts reports whether the body has several ranges, each with a type of its own, which
// may be that of a text.
func hasParts(h http.Header) bool {
	return hasFold([]byte(h.Get("Content-Type")), "multipart/byteranges") == yes
}

// change sets up the steps that the body goes through.
func (w *Response) change(k kind) {
	h := w.Header()
	name, _ := codingOf(h)
	w.sink = newSink(w.ResponseWriter, w.sendHead)
	w.encoder = coding.NewEncoder(w.sink, name)
	text := NewText(w.opts.Names, w.encoder)
	w.start = &intake{text: text, to: w.encoder, tell: w.opts.Tell, see: w.opts.See}
	if k == markup {
		w.start.page = newPage(w.opts.Names, text, w.opts.Policy, w.opts.Tell)
		w.start.page.holdFor(slices.Concat(h["Content-Security-Policy"], h["Content-Security-Policy-Report-Only"]))
		w.start.page.begin = w.allow
	}
	if k == rows {
		w.start.rows = &flight{emit: text.put}
	}
	w.in = w.start
	if name != "" {
		w.decoder = newDecoder(name, w.start)
		w.in = w.decoder
	}
}

// allow has the policies in the head allow what was added.
func (w *Response) allow(added additions) {
	h := w.Header()
	for _, name := range []string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
		if len(added) == 0 || h[name] == nil {
			continue
		}
		var policies []string
		for _, policy := range h[name] {
			policies = append(policies, added.policy(policy))
		}
		h[name] = policies
	}
}

func (w *Response) sendHead() {
	if !w.sent {
		w.sent = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

func (w *Response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.part:
		return 0, errPart
	case w.in == nil:
		return w.ResponseWriter.Write(p)
	case w.err != nil:
		return 0, w.err
	}
	if w.left >= 0 {
		if int64(len(p)) > w.left {
			return 0, http.ErrContentLength
		}
		w.left -= int64(len(p))
	}
	if _, w.err = w.in.Write(p); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// FlushError sends what was written, but for what a URL may begin with.
func (w *Response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.part {
		return errPart
	}
	if w.in != nil {
		if w.start.holds() {
			return nil
		}
		if err := w.encoder.Flush(); err != nil {
			return err
		}
		if err := w.sink.flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Part reports whether the response is a part of a text, or may have some, which cannot be
// changed. Then nothing was written: the request must be answered again without its Range.
func (w *Response) Part() bool { return w.part }

// Again returns a writer for another answer to the same request.
func (w *Response) Again() *Response {
	return &Response{ResponseWriter: w.ResponseWriter, opts: w.opts, r: w.r, ours: w.ours}
}

// Finish writes the rest of a response that is complete. With an error the response
// has to be broken off.
func (w *Response) Finish() error {
	if w.in == nil {
		return nil
	}
	if w.err == nil && w.left > 0 {
		w.err = errShort
	}
	if w.err == nil && w.decoder != nil && w.decoder.in > 0 {
		w.err = w.decoder.Close()
	}
	if w.err == nil {
		w.err = w.start.Close()
	}
	if w.err == nil {
		w.err = w.encoder.Close()
	}
	if w.err == nil {
		if h := w.Header(); !w.sent && len(h["Trailer"]) == 0 { // which needs chunks
			h["Content-Length"] = []string{strconv.Itoa(len(*w.sink.buf))}
		}
		w.err = w.sink.flush()
	}
	if w.err == nil {
		for _, name := range digests { // of trailers
			delete(w.Header(), name)
			delete(w.Header(), http.TrailerPrefix+name)
		}
	}
	return w.err
}

// Free gives up what a response that is not complete has in memory.
func (w *Response) Free() {
	if w.decoder != nil {
		w.decoder.stop()
	}
	if w.start != nil {
		w.start.free()
		w.sink.free()
	}
}

// intake is the first step after decoding. It looks for the mark of UTF-16, whose text
// passes.
type intake struct {
	page *page   // nil for a text that is not HTML
	rows *flight // nil for a text that has no rows
	text *Text
	to   io.Writer
	tell func(string)
	see  func([]byte) // nil for none

	first   []byte // that could be a part of the mark
	looked  bool
	passing bool
}

// Write implements io.Writer.
func (t *intake) Write(p []byte) (int, error) {
	if t.looked {
		return len(p), t.write(p)
	}
	first := p
	if len(t.first) > 0 {
		first = append(t.first, p...)
	}
	if len(first) == 1 && (first[0] == 0xfe || first[0] == 0xff) {
		t.first = []byte{first[0]}
		return len(p), nil
	}
	return len(p), t.look(first)
}

// look decides how the text passes, by its first bytes.
func (t *intake) look(first []byte) error {
	t.looked, t.first = true, nil
	if len(first) >= 2 && (first[0] == 0xfe && first[1] == 0xff || first[0] == 0xff && first[1] == 0xfe) {
		t.passing = true
		t.tell("local URLs in responses in UTF-16 are not rewritten for visitors; use UTF-8")
		if t.page != nil {
			if err := t.page.release(); err != nil {
				return err
			}
		}
	}
	if len(first) == 0 {
		return nil
	}
	return t.write(first)
}

func (t *intake) write(p []byte) (err error) {
	if t.see != nil {
		t.see(p)
	}
	switch {
	case t.passing:
		_, err = t.to.Write(p)
	case t.page != nil:
		_, err = t.page.Write(p)
	case t.rows != nil:
		err = t.rows.run(p)
	default:
		_, err = t.text.Write(p)
	}
	return err
}

// holds reports whether the page is held back from its beginning.
func (t *intake) holds() bool {
	return t.page != nil && !t.page.begun && t.page.hold
}

// Close writes the rest.
func (t *intake) Close() error {
	if !t.looked {
		if err := t.look(t.first); err != nil {
			return err
		}
	}
	if t.page != nil {
		return t.page.Close()
	}
	if t.rows != nil {
		if err := t.rows.end(); err != nil {
			return err
		}
	}
	return t.text.Close()
}

func (t *intake) free() {
	if t.page != nil {
		t.page.free()
		return
	}
	t.text.Free()
}
