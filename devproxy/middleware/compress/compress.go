// Package compress compresses responses: with zstd (RFC 8878), br (RFC 7932) or
// gzip (RFC 1952), as the client prefers.
//
// A flush goes through the encoder, so that a response shows as it arrives. It
// never compresses event streams, gRPC, ranges, responses that have a coding
// already or that Cache-Control: no-transform protects, small responses, and
// responses that do not shrink, which is known only if nothing is flushed
// before the end. The compressed response is another representation: Vary has
// Accept-Encoding, a strong ETag becomes weak (RFC 9110 section 8.8.1). The
// upstream is sent the strong one again in If-None-Match and If-Match. The
// response to a HEAD has a coding only where the GET is sure to have it.
//
// Memory: one encoder for each response in progress, with a window of at most 1
// MiB (measured with writes of 32 KiB: 3 MiB in all for br, 2.5 MiB for zstd, 1
// MiB for gzip; longer writes cost br more), and up to maxBuffered of a response
// that is tried as a whole.
package compress

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/devproxy/devproxy/devproxy/middleware/head"
	"github.com/devproxy/devproxy/tunnel/field"
)

// errShort is the error of a response that ends before its declared length.
var errShort = errors.New("the response is shorter than its Content-Length")

// maxBuffered is how much of a response is buffered to see whether it shrinks,
// in bytes. A response that is flushed earlier, or is longer, is compressed in
// any case.
const maxBuffered = 64 << 10

// Serve answers r with next, compressed where that is possible and worth it. The
// error is next's. If next breaks off, the response is broken off here too,
// without the end that would make it look complete; so is one that is shorter
// than it declared, which is an error.
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

// writer compresses one response.
type writer struct {
	http.ResponseWriter
	r      *http.Request
	status int // 0 before the head
	coding *coding
	buffer *bytes.Buffer // the bytes written while it is undecided; nil otherwise
	to     encoder       // nil while nothing is compressed
	left   int64         // of the declared length, while net/http can't check it; negative for none
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader decides if the head alone is enough.
func (w *writer) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
		if w.decide(w.Header()) {
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// decide changes the head h as the response will be. It returns true when the
// body must be seen first.
func (w *writer) decide(h http.Header) (undecided bool) {
	if !mayChange(w.status, h) {
		return false
	}
	if !field.Has(h["Vary"], "Accept-Encoding") && !field.Has(h["Vary"], "*") {
		h["Vary"] = append(slices.Clip(h["Vary"]), "Accept-Encoding")
	}
	weakTags.note(h.Get("Etag"))
	w.coding = choose(w.r.Header["Accept-Encoding"])
	switch {
	case w.status == http.StatusNotModified:
		describeUnchanged(h, w.r.Header)
	case w.coding == nil:
	case w.r.Method == http.MethodHead:
		describeHead(h, w.coding)
	default:
		w.buffer, w.left = &bytes.Buffer{}, head.Length(h)
		return true
	}
	return false
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.buffer == nil && w.to == nil {
		return w.ResponseWriter.Write(p)
	}
	if w.left >= 0 {
		if int64(len(p)) > w.left {
			return 0, http.ErrContentLength
		}
		w.left -= int64(len(p))
	}
	if w.buffer != nil {
		if w.buffer.Len()+len(p) <= maxBuffered {
			return w.buffer.Write(p)
		}
		if err := w.begin(); err != nil {
			return 0, err
		}
	}
	return w.to.Write(p)
}

// begin compresses the buffered bytes and all that follow.
func (w *writer) begin() error {
	describe(w.Header(), w.coding)
	w.ResponseWriter.WriteHeader(w.status)
	w.to = w.coding.encoder(w.ResponseWriter)
	_, err := w.to.Write(w.buffer.Bytes())
	w.buffer = nil
	return err
}

// FlushError sends all that was written, even if it is only the head.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.buffer != nil {
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

// finish ends the response. A response that is shorter than declared is left
// without its end, as net/http would leave it: a file may be truncated while it
// is read.
func (w *writer) finish() error {
	switch {
	case w.left > 0:
		if w.buffer == nil {
			return errShort
		}
		if err := w.sendBuffer(w.buffer.Bytes()); err != nil {
			return err
		}
		return errShort
	case w.buffer != nil:
		return w.sendShorter()
	case w.to != nil:
		return w.coding.close(w.to)
	}
	return nil
}

// sendShorter sends the shorter of the response and its compressed form.
func (w *writer) sendShorter() error {
	body, compressed := w.buffer.Bytes(), &bytes.Buffer{}
	e := w.coding.encoder(compressed)
	if _, err := e.Write(body); err != nil {
		return err
	}
	if err := w.coding.close(e); err != nil {
		return err
	}
	if compressed.Len() < len(body) {
		describe(w.Header(), w.coding)
		body = compressed.Bytes()
	}
	if len(w.Header()["Trailer"]) == 0 { // which needs chunks
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	return w.sendBuffer(body)
}

func (w *writer) sendBuffer(body []byte) error {
	w.ResponseWriter.WriteHeader(w.status)
	_, err := w.ResponseWriter.Write(body)
	return err
}

// encoder is the interface that the three libraries have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// coding is a content coding (RFC 9110 section 8.4.1) with a pool of encoders.
// They are set for speed: on one machine the processor is the limit, not the
// connection.
type coding struct {
	token string
	pool  sync.Pool // of encoder
}

// zstdWindow is far below the 8 MiB that browsers accept (RFC 9659).
const zstdWindow = 1 << 20

// gzipLevel is the fastest that shrinks text with few matches: lower levels
// leave it unchanged.
const gzipLevel = 3

// codings are in the order of preference among those that the client likes
// equally. They are never changed; the pools are safe for concurrent use.
var codings = [...]*coding{
	{token: "zstd", pool: sync.Pool{New: func() any {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow),
			zstd.WithAllLitEntropyCompression(true))) // text with few matches, such as numbers, shrinks only by its alphabet
	}}},
	{token: "br", pool: sync.Pool{New: func() any { return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 4, LGWin: 20}) }}},
	{token: "gzip", pool: sync.Pool{New: func() any { return must(gzip.NewWriterLevel(nil, gzipLevel)) }}},
}

// must returns e: err is about options, which are constants here.
func must[E encoder](e E, err error) E {
	if err != nil {
		panic(err)
	}
	return e
}

func (c *coding) encoder(to io.Writer) encoder {
	e := c.pool.Get().(encoder)
	e.Reset(to)
	return e
}

// close ends what e encodes, and keeps e.
func (c *coding) close(e encoder) error {
	if err := e.Close(); err != nil {
		return err
	}
	e.Reset(nil)
	c.pool.Put(e)
	return nil
}

// choose returns the coding that the client prefers; nil for none.
func choose(accept []string) *coding {
	line := strings.Join(accept, ",")
	var chosen *coding
	best := field.Quality(line, "identity")
	for _, c := range codings {
		if q := field.Quality(line, c.token); q > 0 && (q > best || chosen == nil && q == best) {
			chosen, best = c, q
		}
	}
	return chosen
}
