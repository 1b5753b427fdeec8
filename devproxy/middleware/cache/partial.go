package cache

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// partial has the stored parts of a representation that was not requested as a
// whole (RFC 9111 section 3.4). Its entry has the head that a 200 would have.
type partial struct {
	e     *entry
	total int64
	spans []span // in order, none touching another
}

type span struct {
	from int64
	data []byte
}

func (s span) end() int64 { return s.from + int64(len(s.data)) }

// part is a 206 that is arriving.
type part struct {
	header http.Header
	total  int64
	span
	length int64
	room   *entry // its memory while it arrives
}

// maxSpans of one representation are kept, so that a client that requests
// single bytes makes no long lists; spanCost is the memory of each in addition
// to its bytes.
const (
	maxSpans = 64
	spanCost = 64
)

// beginPart returns nil for a 206 that is not kept: without a strong validator
// it cannot be combined with other parts.
func beginPart(q *query, h http.Header, maxLength int64) *part {
	from, end, total, ok := parseContentRange(h.Get("Content-Range"))
	tag := h.Get("Etag")
	if !ok || end-from > maxLength || !strings.HasPrefix(tag, `"`) || len(h["Content-Range"]) > 1 {
		return nil
	}
	full := keptHeader(h)
	delete(full, "Content-Range")
	if !storable(q.r, http.StatusOK, full, policyOf(h)) {
		return nil
	}
	full.Set("Content-Length", strconv.FormatInt(total, 10))
	return &part{header: full, total: total, span: span{from: from}, length: end - from, room: &entry{}}
}

// parseContentRange parses "bytes 0-99/1000" (RFC 9110 section 14.4), with a
// known length. end is after the last byte.
func parseContentRange(text string) (from, end, total int64, ok bool) {
	var last int64
	n, err := fmt.Sscanf(text, "bytes %d-%d/%d", &from, &last, &total)
	if n != 3 || err != nil || fmt.Sprintf("bytes %d-%d/%d", from, last, total) != text {
		return 0, 0, 0, false
	}
	return from, last + 1, total, 0 <= from && from <= last && last < total
}

// parseRange parses a Range of one span (section 14.2), of a representation of
// total bytes.
func parseRange(text string, total int64) (from, end int64, ok bool) {
	spec, isBytes := strings.CutPrefix(text, "bytes=")
	first, last, found := strings.Cut(spec, "-")
	if !found || !isBytes {
		return 0, 0, false
	}
	a, errFirst := strconv.ParseUint(first, 10, 62)
	b, errLast := strconv.ParseUint(last, 10, 62)
	switch {
	case errFirst == nil && last == "":
		from, end = int64(a), total
	case first == "" && errLast == nil:
		from, end = max(0, total-int64(b)), total
	case errFirst == nil && errLast == nil:
		from, end = int64(a), min(int64(b)+1, total)
	}
	return from, end, from < end
}

// combine adds p to the stored parts of the same representation (RFC 9111
// section 3.4: the same strong validator). When nothing is missing it becomes
// an ordinary entry.
func (c *Cache) combine(f *fetch, p *part) {
	e := newEntry(f.q, http.StatusOK, p.header, f.sent, time.Now())
	merged := &partial{e: e, total: p.total, spans: []span{p.span}}
	if old := c.partialOf(f.q); old != nil && old.total == p.total && old.e.header.Get("Etag") == p.header.Get("Etag") {
		merged.spans = joinSpans(append(slices.Clone(old.spans), p.span))
	}
	if len(merged.spans) > maxSpans {
		merged.spans = []span{p.span}
	}
	size := e.headCost()
	for _, s := range merged.spans {
		size += int64(len(s.data)) + spanCost
	}
	if !c.grow(e, size) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.partials[e.key]; old != nil {
		c.removeLocked(old.e)
	}
	if c.closed || f.void {
		c.used -= e.cost
		return
	}
	if s := merged.spans[0]; s.from == 0 && s.end() == p.total {
		e.body.write(s.data)
		e.body.end(nil)
		c.keepLocked(e)
		return
	}
	c.partials[e.key] = merged
	e.place = c.recent.PushFront(e)
}

// joinSpans puts spans in order and joins those that touch.
func joinSpans(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	joined := spans[:1]
	for _, s := range spans[1:] {
		last := &joined[len(joined)-1]
		switch {
		case s.from > last.end():
			joined = append(joined, s)
		case s.end() > last.end():
			last.data = append(slices.Clip(last.data), s.data[last.end()-s.from:]...)
		}
	}
	return joined
}

func (c *Cache) partialOf(q *query) *partial {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.partials[q.key]; p != nil && p.e.answers(q.r.Header) {
		c.recent.MoveToFront(p.e.place)
		return p
	}
	return nil
}

// answerPart answers a request for a range with the stored bytes of it.
func (c *Cache) answerPart(w http.ResponseWriter, q *query) (answered bool, err error) {
	ranges := q.r.Header["Range"]
	if q.r.Method != http.MethodGet || len(ranges) != 1 || q.control.noStore {
		return false, nil
	}
	p, now := c.partialOf(q), time.Now()
	if p == nil || p.e.judge(q.control, now) != mayUse || len(q.r.Header["If-None-Match"])+len(q.r.Header["If-Modified-Since"]) > 0 {
		return false, nil
	}
	if condition := q.r.Header.Get("If-Range"); condition != "" && condition != p.e.header.Get("Etag") {
		return false, nil
	}
	from, end, ok := parseRange(ranges[0], p.total)
	i := slices.IndexFunc(p.spans, func(s span) bool { return s.from <= from && end <= s.end() })
	if !ok || i < 0 {
		return false, nil
	}
	h := w.Header()
	writeHeader(h, p.e, hit(p.e, now))
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, end-1, p.total))
	h.Set("Content-Length", strconv.FormatInt(end-from, 10))
	w.WriteHeader(http.StatusPartialContent)
	s := p.spans[i]
	_, err = w.Write(s.data[from-s.from : end-s.from])
	return true, err
}
