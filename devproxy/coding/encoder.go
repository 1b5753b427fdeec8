package coding

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	// encoderWindow bounds the memory of an encoder, in bytes.
	encoderWindow = 1 << 20
	// encoderLevel is gzip's fastest that shrinks text with few matches.
	encoderLevel = 3
	// brotliQuality is brotli's fastest that uses what it has seen before.
	brotliQuality = 2
)

// Encoder encodes what is written to it. Flush writes everything so far, so that it
// can be decoded. Close ends the content; it does not close the writer below.
type Encoder interface {
	io.WriteCloser
	Flush() error
}

// pools keep encoders, by coding. The map is never changed; pools are safe for
// concurrent use.
var pools = map[string]*sync.Pool{
	"gzip":    {New: func() any { return must(gzip.NewWriterLevel(nil, encoderLevel)) }},
	"deflate": {New: func() any { return must(zlib.NewWriterLevel(nil, encoderLevel)) }},
	"br": {New: func() any {
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: brotliQuality, LGWin: 20})
	}},
	"zstd": {New: func() any {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(encoderWindow), zstd.WithLowerEncoderMem(true)))
	}},
}

// must returns e: err is about options, which are constants here.
func must[E any](e E, err error) E {
	if err != nil {
		panic(err)
	}
	return e
}

// Known reports whether Decode and NewEncoder know a coding: one line of
// Content-Encoding, which may be empty.
func Known(coding string) bool {
	name := canonical(coding)
	return name == "" || pools[name] != nil
}

// NewEncoder returns an encoder that writes to to, as fast as the coding allows:
// both ends are in the same process or on the same machine as the decoder. It
// panics for a coding that is not Known. An empty one changes nothing.
func NewEncoder(to io.Writer, coding string) Encoder {
	name := canonical(coding)
	if name == "" {
		return plain{to}
	}
	pool := pools[name]
	e := &pooled{pool: pool, resetter: pool.Get().(resetter)}
	e.Reset(to)
	return e
}

// plain is the encoder of no coding.
type plain struct{ io.Writer }

func (plain) Flush() error { return nil }
func (plain) Close() error { return nil }

// resetter is what the libraries' encoders have in common.
type resetter interface {
	Encoder
	Reset(io.Writer)
}

// pooled is an encoder that goes back to its pool when it is closed.
type pooled struct {
	resetter
	pool *sync.Pool
}

// Close ends the content and keeps the encoder for another one.
func (p *pooled) Close() error {
	if err := p.resetter.Close(); err != nil {
		return err
	}
	p.Reset(nil)
	p.pool.Put(p.resetter)
	return nil
}
