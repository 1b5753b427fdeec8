package devproxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/share"
)

// BenchmarkShareBodies is one visitor's request for 100 KiB of HTML: with bodies
// unchanged, without a local URL in it, and with fifty. The client and the app are
// counted too.
func BenchmarkShareBodies(b *testing.B) {
	const item = `<article class="post card"><h2><a href="/posts/a-title">A title</a></h2><p>Some text of a paragraph, as long as most.</p><img src="https://cdn.example.com/a.jpg" alt=""></article>` + "\n"
	none := strings.Repeat(item, (100<<10)/len(item))
	some := strings.Repeat(strings.Repeat(item, 10)+`<a href="https://shop.localhost/next">next</a>`, (100<<10)/(10*len(item)))
	for _, test := range []struct {
		name, page string
		keep       bool
	}{{"unchanged", none, true}, {"no URLs", none, false}, {"50 URLs", some, false}} {
		b.Run(test.name, func(b *testing.B) {
			s := appAt(b, "", func(o *share.Options) { o.KeepBodies = test.keep }, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Length", strconv.Itoa(len(test.page)))
				_, _ = io.WriteString(w, test.page)
			})
			client := s.visitors()
			b.SetBytes(int64(len(test.page)))
			for b.Loop() {
				res, err := client.Get("http://" + publicName + "/")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					b.Fatal(err)
				}
				res.Body.Close()
				<-s.records
			}
		})
	}
}
