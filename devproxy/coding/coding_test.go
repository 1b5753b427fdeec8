package coding

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

func TestDecode(t *testing.T) {
	const text = "a page, which is longer than a word"
	encode := func(open func(io.Writer) io.WriteCloser) string {
		var out bytes.Buffer
		w := open(&out)
		_, _ = io.WriteString(w, text)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	zipped := encode(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	for _, test := range []struct{ name, coding, body string }{
		{"none", "", text},
		{"identity", " Identity", text},
		{"gzip", "gzip", zipped},
		{"x-gzip", "X-GZIP", zipped},
		{"deflate", "deflate", encode(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })},
		{"deflate without its wrapper", "deflate", encode(func(w io.Writer) io.WriteCloser {
			raw, err := flate.NewWriter(w, 9)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		})},
		{"br", "br", encode(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })},
		{"zstd", "zstd", encode(func(w io.Writer) io.WriteCloser {
			encoder, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return encoder
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []byte
			err := Decode(bytes.NewReader([]byte(test.body)), test.coding, func(r io.Reader) (err error) {
				got, err = io.ReadAll(r)
				return err
			})
			if err != nil || string(got) != text {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	unread := func(io.Reader) error {
		t.Error("it is read")
		return nil
	}
	if err := Decode(bytes.NewReader(nil), "compress", unread); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if err := Decode(bytes.NewReader([]byte("x")), "gzip", unread); err == nil {
		t.Error("no gzip is decoded")
	}
}

// TestDecodeBytes: content whose bytes come one by one is decoded to its end.
func TestDecodeBytes(t *testing.T) {
	words := [...]string{"<p>", "</p>\n", "href=", "https://shop.example", "/cart", "a", "of", " ", "1", "42"}
	for _, name := range []string{"gzip", "deflate", "br", "zstd"} {
		for n := range 200 {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			var text string
			var body bytes.Buffer
			encoder := NewEncoder(&body, name)
			for range 1 + r.IntN(4) {
				_ = encoder.Flush()
				var piece string
				for range 1 + r.IntN(60) {
					piece += words[r.IntN(len(words))]
				}
				text += piece
				_, _ = io.WriteString(encoder, piece)
			}
			if err := encoder.Close(); err != nil {
				t.Fatal(err)
			}
			var got []byte
			err := Decode(iotest.OneByteReader(&body), name, func(r io.Reader) (err error) {
				got, err = io.ReadAll(r)
				return err
			})
			if err != nil || string(got) != text {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}
