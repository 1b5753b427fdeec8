// Package coding decodes the content codings of responses (RFC 9110 section 8.4.1)
// whose text devproxy reads, and encodes those that it has changed.
package coding

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrUnknown is the error of an unknown coding.
var ErrUnknown = errors.New("unknown content coding")

// maxWindow bounds the memory of a zstd decoder, in bytes (RFC 9659).
const maxWindow = 8 << 20

// Decode calls read with the decoded content of from. It returns read's error, or why
// from can't be decoded. coding is one line of Content-Encoding; it may be empty. If
// from breaks off, so does the decoded content, with an error.
func Decode(from io.Reader, coding string, read func(io.Reader) error) error {
	switch canonical(coding) {
	case "":
		return read(from)
	case "gzip":
		decoder, err := gzip.NewReader(from)
		if err != nil {
			return err
		}
		return read(decoder)
	case "deflate":
		buffered := bufio.NewReader(from)
		// Some servers leave out the wrapper.
		if head, err := buffered.Peek(2); err != nil || head[0]&0x0f != 8 || (uint(head[0])<<8|uint(head[1]))%31 != 0 {
			return read(flate.NewReader(buffered))
		}
		decoder, err := zlib.NewReader(buffered)
		if err != nil {
			return err
		}
		return read(decoder)
	case "br":
		return read(brotliReader{brotli.NewReader(from)})
	case "zstd":
		decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return err
		}
		defer decoder.Close()
		return read(decoder)
	}
	return ErrUnknown
}

// brotliReader ends where the content ends. The library's reader sometimes fails there: if the
// last bytes came one by one, it takes those that it has decoded for excess.
type brotliReader struct{ *brotli.Reader }

func (r brotliReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err.Error() == "brotli: excessive input" { // which only complete content has
		err = io.EOF
	}
	return n, err
}

// canonical returns the name of a coding; empty for none.
func canonical(coding string) string {
	switch name := strings.ToLower(strings.TrimSpace(coding)); name {
	case "identity":
		return ""
	case "x-gzip":
		return "gzip"
	default:
		return name
	}
}
