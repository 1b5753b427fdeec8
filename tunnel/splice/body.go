package splice

import (
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/devproxy/devproxy/tunnel/field"
)

// BlockSize is the size of a Block in bytes: the size that most reads of a
// loopback socket return at once, and two frames of a tunnel's session.
const BlockSize = 32 << 10

// Block is the buffer of one direction of an exchange.
type Block [BlockSize]byte

// blocks is never written after it is made; the pool guards itself.
var blocks = sync.Pool{New: func() any { return new(Block) }}

// NewBlock takes a Block from a pool. Free puts it back.
func NewBlock() *Block { return blocks.Get().(*Block) }

// Free puts b back into the pool. It must not be used any more.
func (b *Block) Free() { blocks.Put(b) }

// Body passes the body of res to write as it arrives. A piece is flushed unless
// more is certain to follow at once: the buffer was filled, or the end is
// reached, where net/http flushes anyway. This makes a stream immediate without
// cutting a download into small writes. When the length is unknown, the head is
// flushed first, since the first byte may be long in coming. It is flushed
// without a write, which net/http refuses even for no bytes when the status
// allows no body.
func Body(res *http.Response, write func(p []byte, flush bool) error, flush func() error) (readErr, writeErr error) {
	if res.Body == http.NoBody || res.ContentLength == 0 {
		return nil, nil
	}
	if res.ContentLength < 0 {
		if err := flush(); err != nil {
			return nil, err
		}
	}
	buf := NewBlock()
	defer buf.Free()
	for left := res.ContentLength; ; {
		n, err := res.Body.Read(buf[:])
		left -= int64(n)
		if n > 0 {
			done := err == io.EOF || left == 0
			if err := write(buf[:n], !done && n < len(buf)); err != nil {
				return nil, err
			}
		}
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// Trailers sets the fields of a trailer section on w, announced or not. It first
// calls flush: a short response would otherwise get a Content-Length, and with it
// no trailers.
func Trailers(w http.ResponseWriter, trailer http.Header, flush func() error) error {
	passed := field.Trailers(trailer)
	if len(passed) == 0 {
		return nil
	}
	if err := flush(); err != nil {
		return err
	}
	header := w.Header()
	for name, values := range passed {
		if !slices.Contains(header["Trailer"], name) {
			name = http.TrailerPrefix + name
		}
		header[name] = values
	}
	return nil
}
