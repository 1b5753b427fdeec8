package cache

import (
	"container/list"
	"net/http"
	"slices"
	"time"
)

// entry is an answer that is kept, or on its way to be. But for its body it is
// not changed once others see it: freshening makes another one.
type entry struct {
	key    key
	names  []string // of Vary
	values []string // selecting, of the request it answers
	status int
	header http.Header
	body   *spool

	policy     policy
	date, came time.Time
	initial    time.Duration // its age when it came
	life       time.Duration
	cost       int64         // bytes, as far as they are counted; under Cache.mu
	place      *list.Element // in Cache.recent; under Cache.mu
}

func newEntry(q *query, status int, h http.Header, sent, came time.Time) *entry {
	e := &entry{key: q.key, names: varyNames(h), status: status, header: keptHeader(h), body: newSpool()}
	delete(e.header, "Content-Range") // means nothing outside of 206 and 416 (RFC 9110 section 14.4)
	e.values = selecting(e.names, q.r.Header)
	e.read(sent, came)
	return e
}

// read takes the times from the header.
func (e *entry) read(sent, came time.Time) {
	e.policy = policyOf(e.header)
	e.date, e.came = dateOf(e.header, came), came
	e.initial = initialAge(e.header, e.date, sent, came)
	e.life = lifetime(e.status, e.header, e.policy, e.date)
	if e.header.Get("Date") == "" {
		e.header.Set("Date", e.date.UTC().Format(http.TimeFormat)) // RFC 9110 section 6.6.1
	}
}

// answers reports whether e's request selects as h does (section 4.1).
func (e *entry) answers(h http.Header) bool { return slices.Equal(e.values, selecting(e.names, h)) }

// entryCost is what an entry costs beside its texts, in bytes.
const entryCost = 1 << 10

// headCost counts the texts of a head.
func (e *entry) headCost() int64 {
	n := entryCost + 2*e.key.size()
	for _, values := range e.values {
		n += len(values)
	}
	for name, values := range e.header {
		n += len(name) + 32
		for _, value := range values {
			n += len(value) + 16
		}
	}
	return int64(n)
}

// forAll reports whether e, with the fields of a 304 to one visitor, may be kept
// for others. A cookie is that visitor's.
func (e *entry) forAll() bool {
	d := e.policy
	return !d.has("no-store") && !d.has("private") && len(e.header["Set-Cookie"]) == 0 && !slices.Contains(e.names, "*")
}

// freshened is e with the fields of a 304 to q (section 3.2), which came in
// answer to a request sent then. It selects by all that either of them names.
func (e *entry) freshened(q *query, h http.Header, sent, came time.Time) *entry {
	fresh := &entry{key: e.key, names: append(varyNames(h), e.names...), status: e.status, header: e.header.Clone(), body: e.body}
	delete(fresh.header, "Age")  // that of the 304 counts, or none
	delete(fresh.header, "Date") // likewise
	for name, values := range keptHeader(h) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Cache-Status":
			// They are of the 304, or of the body that stays.
		default:
			fresh.header[name] = values
		}
	}
	slices.Sort(fresh.names)
	fresh.names = slices.Compact(fresh.names)
	fresh.values = selecting(fresh.names, q.r.Header)
	fresh.read(sent, came)
	return fresh
}
