package rewrite

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"

	"github.com/devproxy/devproxy/tunnel/budget"
)

const (
	// maxBody is the size of the largest request body whose URLs are replaced, in
	// bytes. It is read before the request is sent on, so that its length is known:
	// some development servers accept no body without one.
	maxBody = 1 << 20
	// maxCompressed is how many requests at one time may have a compressed response. Its
	// decoder and encoder take up to 4 MB, for as long as a slow reader wants. Further
	// requests ask for a response that is not compressed.
	maxCompressed = 128
)

// Request is a request for Response.
type Request struct {
	*http.Request
	ours  bool // it has an entity tag of ours
	held  bodyMemory
	coded bool // counts in compressed
}

// NewRequest makes r, which is the caller's own copy, a request for the upstream: its
// entity tags are the upstream's, and with bodies, the URLs in JSON and forms that a
// page of the same site sends are replaced, and a Range remains for GET only, the only
// method that has it (RFC 9110 section 14.2) and that can be answered again. The visitor
// is at the address from; the zero value is unknown.
//
// The body stays as it is if it comes from elsewhere, so that signatures of webhooks
// hold; if it has a content coding or a digest; if it is larger than maxBody or its
// length is not known; or if the visitor has maxBodiesOf in memory, or all have
// maxBodies. The error is that of reading it.
func NewRequest(r *http.Request, names *Names, mark string, from netip.Addr, bodies bool) (*Request, error) {
	out := &Request{Request: r, held: bodyMemory{from: budget.NetworkOf(from)}}
	out.ours = unmarkTags(r.Header, mark)
	if !bodies {
		return out, nil
	}
	if r.Method != http.MethodGet {
		delete(r.Header, "Range")
	}
	out.limitCompressed()
	if !mayChange(r) {
		return out, nil
	}
	return out, out.replaceBody(names)
}

// compressed counts the requests that may have a compressed response.
var compressed atomic.Int64

// limitCompressed asks for no content coding if too many other requests do.
func (r *Request) limitCompressed() {
	if r.Header["Accept-Encoding"] == nil {
		return
	}
	if r.coded = compressed.Add(1) <= maxCompressed; !r.coded {
		compressed.Add(-1)
		r.Header["Accept-Encoding"] = []string{"identity"}
	}
}

// Free gives up the body. Call it once, when the request was answered.
func (r *Request) Free() {
	r.held.free()
	if r.coded {
		compressed.Add(-1)
	}
}

// mayChange reports whether the body of r is a text that a page of the same site sends.
func mayChange(r *http.Request) bool {
	h := r.Header
	switch h.Get("Sec-Fetch-Site") {
	case "same-origin", "same-site":
	default:
		return false
	}
	if r.ContentLength <= 0 || r.ContentLength > maxBody || h.Get("Content-Encoding") != "" || h.Get("Expect") != "" {
		return false
	}
	for _, name := range digests {
		if h.Get(name) != "" {
			return false
		}
	}
	k, charset := kindOf(h.Get("Content-Type"))
	return isASCII(charset) && (k == plain || isForm(h.Get("Content-Type")) || boundaryOf(h) != "" || isCall(h))
}

// isForm reports whether a media type is that of a form without files.
func isForm(contentType string) bool {
	const form = "application/x-www-form-urlencoded"
	return len(contentType) >= len(form) && hasFold([]byte(contentType), form) == yes
}

// isCall reports whether a request calls a server function of React, whose arguments are
// JSON that is declared as plain text: that of Next.js, React Router, and Vite's plugin.
func isCall(h http.Header) bool {
	called := h.Get("Next-Action") != "" || h.Get("Rsc-Action-Id") != "" || h.Get("X-Rsc-Action") != ""
	return called && hasFold([]byte(h.Get("Content-Type")), "text/plain") == yes
}

// replaceBody reads the body and replaces its URLs. Beyond maxBodies and maxBodiesOf it
// stays as it is.
func (r *Request) replaceBody(names *Names) error {
	var body bytes.Buffer
	for left := r.ContentLength; left > 0; {
		piece := min(left, bodyPiece) // a client may declare more than it sends
		if !r.held.take(piece) {
			r.Body = joined{io.MultiReader(&body, r.Body), r.Body}
			return nil
		}
		if _, err := io.CopyN(&body, r.Body, piece); err != nil {
			return err
		}
		left -= piece
	}
	text := body.Bytes()
	changed := changedBody{held: &r.held, size: len(text)}
	out := NewText(names, &changed)
	if boundary := boundaryOf(r.Header); boundary != "" {
		replaceParts(out, text, boundary)
	} else {
		_, _ = out.Write(text) // a changedBody does not fail
	}
	_ = out.Close()
	if out.replaced > 0 && !changed.full {
		text = changed.Bytes()
		r.ContentLength = int64(len(text))
		r.Header["Content-Length"] = []string{strconv.Itoa(len(text))}
	}
	r.Body = joined{bytes.NewReader(text), r.Body}
	return nil
}

// changedBody collects a body with its URLs replaced.
type changedBody struct {
	bytes.Buffer
	held *bodyMemory
	size int  // that counts
	full bool // the memory isn't enough
}

// Write implements io.Writer. It never fails.
func (b *changedBody) Write(p []byte) (int, error) {
	if b.full {
		return len(p), nil
	}
	if grown := b.Len() + len(p) - b.size; grown > 0 {
		if b.full = !b.held.take(int64(grown)); b.full {
			b.Buffer = bytes.Buffer{}
			return len(p), nil
		}
		b.size += grown
	}
	return b.Buffer.Write(p)
}

// joined is a body of which a part was read.
type joined struct {
	io.Reader
	io.Closer
}
