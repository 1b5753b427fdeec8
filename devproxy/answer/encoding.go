package answer

import (
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
)

// coding is a content coding that a file may lie precompressed in.
type coding struct {
	token  string // as Accept-Encoding has it
	suffix string // of the sibling's name
}

// codings are in the order of preference, smallest result first.
func codings() [2]coding {
	return [...]coding{{"br", ".br"}, {"gzip", ".gz"}}
}

// encoded opens the sibling of plain that the visitor takes most gladly, or
// returns plain itself. A sibling older than the file is left over from an
// earlier build and is not served. vary is true when another visitor could get
// another of them.
func (d *folder) encoded(plain *file, r *http.Request) (chosen *file, token string, vary bool) {
	accept := strings.Join(r.Header.Values("Accept-Encoding"), ",")
	chosen, best := plain, field.Quality(accept, "identity")
	for _, c := range codings() {
		sibling, err := d.open(plain.name + c.suffix)
		if err != nil || sibling == nil {
			continue // a sibling that cannot be read is no reason to fail
		}
		if sibling.info.ModTime().Before(plain.info.ModTime()) {
			sibling.Close()
			continue
		}
		vary = true
		q := field.Quality(accept, c.token)
		if q == 0 || q < best || q == best && token != "" {
			sibling.Close()
			continue
		}
		if chosen != plain {
			chosen.Close()
		}
		chosen, token, best = sibling, c.token, q
	}
	return chosen, token, vary
}
