package cache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
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
	e := &entry{key: q.key, names: varyNames(h), status: status, header: keptHeader(h), body: newBody()}
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

// body is a response body that any number of readers read while it comes.
type body struct {
	mu     sync.Mutex
	pieces [][]byte
	size   int64
	over   bool
	err    error         // why it has no end
	more   chan struct{} // closed when there is more, or it has ended
}

func newBody() *body { return &body{more: make(chan struct{})} }

// pieceSize is the least size of a piece, except the last of a flush.
const pieceSize = 16 << 10

func (b *body) write(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size += int64(len(p))
	// Small pieces are joined: a piece is never moved, only filled.
	if n := len(b.pieces); n > 0 {
		last := b.pieces[n-1]
		room := min(cap(last)-len(last), len(p))
		b.pieces[n-1] = append(last, p[:room]...)
		p = p[room:]
	}
	if len(p) > 0 {
		piece := make([]byte, len(p), max(len(p), min(pieceSize, 4*len(p))))
		copy(piece, p)
		b.pieces = append(b.pieces, piece)
	}
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
	if !b.over {
		b.over, b.err = true, err
		b.notifyLocked()
	}
}

func (b *body) length() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

func (b *body) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over && b.err == nil
}

// reader reads the bytes so far; for a complete body it is an io.ReadSeeker.
type reader struct {
	*body
	piece, at int   // in it
	offset    int64 // of all
}

// Read never waits: io.EOF means that no more bytes are there yet.
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.piece < len(r.pieces) {
		piece := r.pieces[r.piece]
		if n := copy(p, piece[r.at:]); n > 0 || len(p) == 0 {
			r.at += n
			r.offset += int64(n)
			return n, nil
		}
		if r.piece == len(r.pieces)-1 {
			break // it may still be filled
		}
		r.piece, r.at = r.piece+1, 0
	}
	return 0, io.EOF
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.piece, r.at, r.offset = 0, 0, offset
	for left := offset; r.piece < len(r.pieces); r.piece++ {
		if n := int64(len(r.pieces[r.piece])); left >= n {
			left -= n
			continue
		}
		r.at = int(left)
		break
	}
	return offset, nil
}

// wait returns true when there is more to read, and false when there never will
// be.
func (r *reader) wait(ctx context.Context) (bool, error) {
	r.mu.Lock()
	more, over, err := r.more, r.over, r.err
	ready := r.offset < r.size
	r.mu.Unlock()
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
