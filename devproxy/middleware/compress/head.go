package compress

import (
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/devproxy/middleware/head"
	"github.com/devproxy/devproxy/tunnel/field"
)

// smallest is the shortest response that is worth it, in bytes: below, the head
// is longer than what could be saved, and all of it fits a packet.
const smallest = 256

// mayChange reports whether some client may get a response with this head
// compressed, which means that it varies by Accept-Encoding.
func mayChange(status int, h http.Header) bool {
	switch {
	case status < 200, status == http.StatusNoContent, status == http.StatusPartialContent:
		return false
	case status == http.StatusNotModified:
		return true // of a response that the client has
	case h.Get("Content-Range") != "", coded(h), field.Has(h["Cache-Control"], "no-transform"):
		return false
	case h.Get("Content-Length") != "" && head.Length(h) < smallest:
		return false
	}
	return compressible(h.Get("Content-Type"))
}

func coded(h http.Header) bool {
	return slices.ContainsFunc(h["Content-Encoding"], func(line string) bool {
		line = strings.TrimSpace(line)
		return line != "" && !strings.EqualFold(line, "identity")
	})
}

// compressible reports whether a media type is text, or shrinks like it.
func compressible(contentType string) bool {
	kind := strings.ToLower(strings.TrimSpace(contentType))
	if i := strings.IndexAny(kind, ";, \t"); i >= 0 {
		kind = kind[:i] // parameters may be invalid
	}
	major, minor, _ := strings.Cut(kind, "/")
	switch {
	case kind == "text/event-stream", major == "application" && strings.HasPrefix(minor, "grpc"): // which has its own frames and codings
		return false
	case major == "text", strings.HasSuffix(minor, "+json"), strings.HasSuffix(minor, "+xml"), strings.HasSuffix(minor, "+text"):
		return true
	case major == "application":
		return slices.Contains([]string{
			"json", "javascript", "x-javascript", "ecmascript", "xml", "wasm", "graphql", "x-ndjson", "jsonl", "json-seq",
			"x-www-form-urlencoded", "yaml", "x-yaml", "toml", "sql", "vnd.ms-fontobject", "x-font-ttf",
		}, minor)
	case major == "font":
		return minor == "ttf" || minor == "otf" || minor == "sfnt" || minor == "collection"
	case major == "image":
		return minor == "bmp" || minor == "vnd.microsoft.icon" || minor == "x-icon"
	}
	return false
}

// describe makes h that of a compressed representation. Its fields about the
// plain bytes no longer apply.
func describe(h http.Header, c *coding) {
	h["Content-Encoding"] = []string{c.token}
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Content-Md5", "Content-Digest", "Repr-Digest", "Digest"} {
		delete(h, name)
	}
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h["Etag"] = []string{"W/" + tag}
	}
}

// describeHead makes h the header that a GET would have, where that is certain:
// a response longer than maxBuffered is always compressed. For others only the
// body would show whether they shrink, so their coding, and what depends on it,
// is left out (RFC 9110 section 9.3.2).
func describeHead(h http.Header, c *coding) {
	certain := head.Length(h) > maxBuffered
	describe(h, c)
	if !certain {
		delete(h, "Content-Encoding")
	}
}

// describeUnchanged handles a 304: a client that sent a weak tag has a
// representation that was compressed here, and continues to have it.
func describeUnchanged(h, asked http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) && strings.Contains(strings.Join(asked["If-None-Match"], ","), "W/"+tag) {
		h["Etag"] = []string{"W/" + tag}
	}
}

// withKnownTags returns r with the entity tags that its upstream knows. describe
// makes a strong tag weak, and an upstream that compares tags as text would never
// answer 304 to W/"x", or refuse every If-Match. A tag that the upstream itself
// made weak stays. If-Range stays too: a weak tag must not select a range (RFC
// 9110 section 13.1.5).
func withKnownTags(r *http.Request) *http.Request {
	known := r
	for _, name := range []string{"If-None-Match", "If-Match"} {
		for i, line := range r.Header[name] {
			strong := strengthened(line)
			if strong == line {
				continue
			}
			if known == r {
				known = r.Clone(r.Context())
			}
			known.Header[name][i] = strong
		}
	}
	return known
}

// strengthened returns a list of entity tags without the "W/" of those that no
// upstream made weak.
func strengthened(list string) string {
	const weak = `W/"`
	var out strings.Builder
	for {
		before, after, found := strings.Cut(list, weak)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		opaque, rest, closed := strings.Cut(after, `"`)
		if !closed || strings.Count(before, `"`)%2 != 0 || weakTags.has(opaque) {
			out.WriteString("W/")
		}
		out.WriteString(`"` + opaque)
		if closed {
			out.WriteString(`"`)
		}
		list = rest
	}
}

// maxWeakTags is how many tags are remembered. When there are more, all are
// forgotten: the next response with such a tag adds it again.
const maxWeakTags = 4096

// weakTags are the tags that upstreams made weak themselves, on all routes: the
// tag alone doesn't distinguish them from those that describe made weak.
var weakTags = tagSet{seed: maphash.MakeSeed()}

// tagSet is safe for concurrent use.
type tagSet struct {
	seed maphash.Seed
	mu   sync.Mutex
	tags map[uint64]struct{}
}

func (s *tagSet) has(opaque string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.tags[maphash.String(s.seed, opaque)]
	return ok
}

// note remembers an ETag field that is weak.
func (s *tagSet) note(etag string) {
	opaque, weak := strings.CutPrefix(strings.TrimSpace(etag), `W/"`)
	if !weak {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tags == nil || len(s.tags) >= maxWeakTags {
		s.tags = map[uint64]struct{}{}
	}
	s.tags[maphash.String(s.seed, strings.TrimSuffix(opaque, `"`))] = struct{}{}
}
