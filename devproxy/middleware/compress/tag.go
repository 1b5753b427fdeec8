package compress

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync"
)

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

// strengthened is a list of entity tags without the "W/" of those that no
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
// forgotten: the next answer with such a tag has it remembered again.
const maxWeakTags = 4096

// weakTags are the tags that upstreams made weak themselves, of all routes: by
// the tag alone nobody can tell them from those that describe made weak.
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
