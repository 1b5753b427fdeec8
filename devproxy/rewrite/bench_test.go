package rewrite

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// blog returns about 100 KiB of HTML like that of a blog. Every urls-th paragraph has
// a local URL; 0 means none.
func blog(urls int) []byte {
	var b bytes.Buffer
	b.WriteString("<!doctype html><html><head><title>A page</title><script src=\"/app.js\"></script></head><body>\n")
	for i := 0; b.Len() < 100<<10; i++ {
		b.WriteString(`<article class="post card" id="p1"><h2><a href="/posts/a-title">A title</a></h2><p>Some text of a paragraph, as long as most.</p><img src="https://cdn.example.com/a.jpg" alt=""></article>` + "\n")
		if urls > 0 && i%urls == 0 {
			b.WriteString(`<a href="https://shop.localhost:8443/next">Next</a>`)
		}
	}
	return b.Bytes()
}

func BenchmarkText(b *testing.B) {
	script := []byte(strings.Repeat("export function add(a, b) { // adds\n  return fetch(`/api/${a}/${b}`).then(r => r.json()); }\n", 1100))
	for _, test := range []struct {
		name string
		text []byte
	}{{"HTML", blog(0)}, {"HTML with 50 URLs", blog(10)}, {"script", script}} {
		b.Run(test.name, func(b *testing.B) {
			b.SetBytes(int64(len(test.text)))
			b.ReportAllocs()
			names := testNames()
			for b.Loop() {
				out := NewText(names, io.Discard)
				pieces(test.text, out, func(int) int { return 32 << 10 })
			}
		})
	}
	b.Run("copied", func(b *testing.B) {
		text := blog(0)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{bytes.NewReader(text)}, make([]byte, 32<<10))
		}
	})
}
