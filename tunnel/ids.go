package tunnel

import "slices"

// idSet is a set of numbers that fills up from 0 with few holes: the streams
// that are over. It is kept as runs, of which there are at most one more than
// streams that are open.
type idSet struct {
	runs  []run  // sorted, with a gap between any two
	count uint64 // of the numbers in them
}

// run is the numbers from first to last.
type run struct{ first, last uint64 }

// has reports whether n is in the set.
func (s *idSet) has(n uint64) bool {
	_, in := s.find(n)
	return in
}

// find is the index of the run that holds n, or that would follow it.
func (s *idSet) find(n uint64) (int, bool) {
	return slices.BinarySearchFunc(s.runs, n, func(r run, n uint64) int {
		switch {
		case r.last < n:
			return -1
		case r.first > n:
			return 1
		}
		return 0
	})
}

// add puts n into the set.
func (s *idSet) add(n uint64) {
	i, in := s.find(n)
	if in {
		return
	}
	s.count++
	joinsBefore := i > 0 && s.runs[i-1].last+1 == n
	joinsAfter := i < len(s.runs) && s.runs[i].first == n+1
	switch {
	case joinsBefore && joinsAfter:
		s.runs[i-1].last = s.runs[i].last
		s.runs = slices.Delete(s.runs, i, i+1)
	case joinsBefore:
		s.runs[i-1].last = n
	case joinsAfter:
		s.runs[i].first = n
	default:
		s.runs = slices.Insert(s.runs, i, run{n, n})
	}
}
