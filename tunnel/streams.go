package tunnel

import (
	"slices"
	"sort"
)

// streamTable holds a session's streams, by number. Each end numbers the streams that
// it opens 0, 1, 2 …, and appends a bit that says which end that was.
type streamTable struct {
	side   uint64 // the lowest bit of the numbers of streams that this end opens
	open   map[uint64]*Stream
	opened uint64               // streams opened here
	ours   int                  // of those in open, opened here
	over   numberSet            // streams of the other end that are over
	left   map[*Stream]struct{} // removed, but not read to the end
	queue  []*Stream            // to be accepted
}

func newStreamTable() streamTable {
	return streamTable{open: map[uint64]*Stream{}, left: map[*Stream]struct{}{}}
}

// isOurs reports whether this end opens the streams with such a number.
func (t *streamTable) isOurs(id uint64) bool { return id&1 == t.side }

// find returns the stream of a frame that came; nil when it has ended. isNew is
// set for a number of the other end that was not seen before: frames of a
// stream may overtake the one that opens it.
func (t *streamTable) find(id uint64) (st *Stream, isNew bool, err error) {
	if st := t.open[id]; st != nil {
		return st, false, nil
	}
	n := id >> 1
	switch {
	case t.isOurs(id) && n >= t.opened:
		return nil, false, protocolErrorf("a frame of stream %d, which was never opened", id)
	case t.isOurs(id) || t.over.has(n):
		return nil, false, nil
	// One end may learn before the other that a stream has ended, so twice as
	// many are allowed.
	case len(t.open)-t.ours >= 2*MaxStreams || n >= t.over.count+2*MaxStreams:
		return nil, false, protocolErrorf("more than %d streams at once", MaxStreams)
	}
	return nil, true, nil
}

// number returns the number of the next stream that this end opens.
func (t *streamTable) number() uint64 {
	t.opened++
	t.ours++
	return (t.opened-1)<<1 | t.side
}

// remove takes a stream out that has ended in both directions. It returns by
// how many runs of numbers the table has grown.
func (t *streamTable) remove(st *Stream) (runs int) {
	delete(t.open, st.id)
	if t.isOurs(st.id) {
		t.ours--
		return 0
	}
	before := len(t.over.runs)
	t.over.add(st.id >> 1)
	return len(t.over.runs) - before
}

// heaviest returns the stream that holds the most; nil for none.
func (t *streamTable) heaviest() (heaviest *Stream) {
	compare := func(st *Stream) {
		if heaviest == nil || st.weight() > heaviest.weight() {
			heaviest = st
		}
	}
	for _, st := range t.open {
		compare(st)
	}
	for st := range t.left {
		compare(st)
	}
	return heaviest
}

// numberSet is a set of numbers that fills up from 0 with few gaps. It is kept as
// runs, of which there is at most one more than there are gaps.
type numberSet struct {
	runs  []run  // sorted, with a gap between any two
	count uint64 // of the numbers in them
}

// run is the numbers from first to last.
type run struct{ first, last uint64 }

// has reports whether n is in the set.
func (s *numberSet) has(n uint64) bool {
	_, in := s.find(n)
	return in
}

// find returns the index of the run that holds n, or that would follow it.
func (s *numberSet) find(n uint64) (i int, in bool) {
	i = sort.Search(len(s.runs), func(i int) bool { return s.runs[i].last >= n })
	return i, i < len(s.runs) && s.runs[i].first <= n
}

// add puts n into the set.
func (s *numberSet) add(n uint64) {
	i, in := s.find(n)
	if in {
		return
	}
	s.count++
	if i == 0 || s.runs[i-1].last+1 < n {
		s.runs = slices.Insert(s.runs, i, run{n, n})
		i++
	}
	s.runs[i-1].last = n
	if i < len(s.runs) && s.runs[i].first == n+1 {
		s.runs[i-1].last = s.runs[i].last
		s.runs = slices.Delete(s.runs, i, i+1)
	}
}
