package compress

import (
	"io"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/devproxy/devproxy/tunnel/field"
)

// encoder is what the three libraries have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// coding is a content coding (RFC 9110 section 8.4.1) with encoders to use
// again. They are made for speed: on one machine it is the processor that is
// short, not the line.
type coding struct {
	token string
	pool  sync.Pool // of encoder
}

// zstdWindow is far below the 8 MiB that browsers take (RFC 9659).
const zstdWindow = 1 << 20

// gzipLevel is the fastest that shrinks text with few matches: the levels below
// leave it as it is.
const gzipLevel = 3

// codings are in the order of preference among those that are liked equally.
// They are never written after they are made; the pools guard themselves.
var codings = [...]*coding{
	{token: "zstd", pool: sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow),
			zstd.WithAllLitEntropyCompression(true)) // text with few matches, such as numbers, shrinks by its alphabet alone
		if err != nil {
			panic(err) // of the options above
		}
		return e
	}}},
	{token: "br", pool: sync.Pool{New: func() any { return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 4, LGWin: 20}) }}},
	{token: "gzip", pool: sync.Pool{New: func() any {
		e, err := gzip.NewWriterLevel(nil, gzipLevel)
		if err != nil {
			panic(err) // of the level above
		}
		return e
	}}},
}

func (c *coding) encoder(to io.Writer) encoder {
	e := c.pool.Get().(encoder)
	e.Reset(to)
	return e
}

// release keeps an encoder that was closed.
func (c *coding) release(e encoder) {
	e.Reset(nil)
	c.pool.Put(e)
}

// choose is the coding that the visitor likes best; nil for none.
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
