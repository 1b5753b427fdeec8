package cache

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// entry is a response that is stored or still arriving. Apart from its body it
// does not change once others see it: freshening makes a new entry.
type entry struct {
	key    key
	names  []string // of Vary
	values []string // selecting, of the request that it answers
	status int
	header http.Header
	body   *body

	policy     policy
	date, came time.Time
	initial    time.Duration // its age when it came
	life       time.Duration
	cost       int64         // bytes, as far as they are counted; under Cache.mu
	place      *list.Element // in Cache.recent; under Cache.mu
}

func newEntry(q *query, status int, h http.Header, sent, came time.Time) *entry {
	e := &entry{key: q.key, names: varyNames(h), status: status, header: keptHeader(h), body: &body{more: make(chan struct{})}}
	delete(e.header, "Content-Range") // means nothing outside of 206 and 416 (RFC 9110 section 14.4)
	e.values = selecting(e.names, q.r.Header)
	e.read(sent, came)
	return e
}

// read sets the times from the header.
func (e *entry) read(sent, came time.Time) {
	e.policy = policyOf(e.header)
	e.date, e.came = dateOf(e.header, came), came
	e.initial = initialAge(e.header, e.date, sent, came)
	e.life = lifetime(e.status, e.header, e.policy, e.date)
	if e.header.Get("Date") == "" {
		e.header.Set("Date", e.date.UTC().Format(http.TimeFormat)) // RFC 9110 section 6.6.1
	}
}

// answers reports whether h selects e (section 4.1).
func (e *entry) answers(h http.Header) bool { return slices.Equal(e.values, selecting(e.names, h)) }

// entryCost is the memory of an entry in addition to its texts, in bytes.
const entryCost = 1 << 10

// headCost counts the texts of a head.
func (e *entry) headCost() int64 {
	n := entryCost + 2*e.key.size()
	for _, value := range e.values {
		n += len(value)
	}
	for name, values := range e.header {
		n += len(name) + 32
		for _, value := range values {
			n += len(value) + 16
		}
	}
	return int64(n)
}

// forAll reports whether e, with the fields of a 304 to one client, may be kept
// for others. A cookie belongs to that client.
func (e *entry) forAll() bool {
	d := e.policy
	return !d.has("no-store") && !d.has("private") && len(e.header["Set-Cookie"]) == 0 && !slices.Contains(e.names, "*")
}

// freshened returns e with the fields of a 304 to q (section 3.2), whose request
// was sent then. It selects by all fields that either of them names.
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

// errBrokenOff is the error of reading a response that has no end.
var errBrokenOff = errors.New("the response that several clients were waiting for broke off")

// body is a response body that any number of readers read while it comes. The bytes
// that are there never change.
type body struct {
	mu   sync.Mutex
	data []byte
	over bool
	err  error         // why it has no end
	more chan struct{} // closed when there is more, or it has ended
}

func (b *body) write(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cap(b.data)-len(b.data) < len(p) {
		b.data = slices.Grow(b.data, max(len(p), len(b.data))) // twice as much: most bytes move once
	}
	b.data = append(b.data, p...)
	b.notifyLocked()
}

func (b *body) notifyLocked() {
	close(b.more)
	b.more = make(chan struct{})
}

// end says that everything is there or, with an error, that it never will be.
func (b *body) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.over, b.err = true, err
	if cap(b.data) > len(b.data) {
		b.data = bytes.Clone(b.data) // the cache counts no room for more
	}
	b.notifyLocked()
}

// bytes returns what is there. complete reports whether that is everything.
func (b *body) bytes() (data []byte, complete bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data, b.over && b.err == nil
}

func (b *body) length() int64 {
	data, _ := b.bytes()
	return int64(len(data))
}

// wait returns true when there are more than offset bytes, and false when there never
// will be.
func (b *body) wait(ctx context.Context, offset int) (bool, error) {
	b.mu.Lock()
	more, over, err := b.more, b.over, b.err
	ready := offset < len(b.data)
	b.mu.Unlock()
	switch {
	case ready:
		return true, nil
	case err != nil:
		return false, fmt.Errorf("%w: %w", errBrokenOff, err)
	case over:
		return false, nil
	}
	select {
	case <-more:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
