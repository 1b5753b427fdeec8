package tunnel

import (
	"testing"
)

// TestStreamTable: frames find their streams; those of streams that are over find
// nothing, and those that no stream can have are refused.
func TestStreamTable(t *testing.T) {
	for side, other := range map[uint64]uint64{0: 1, 1: 0} {
		table := newStreamTable()
		table.side = side
		find := func(id uint64, want *Stream, wantNew, wantErr bool) {
			t.Helper()
			st, isNew, err := table.find(id)
			if st != want || isNew != wantNew || (err != nil) != wantErr {
				t.Errorf("side %d, stream %d: %v, new %t, %v", side, id, st, isNew, err)
			}
		}
		if !table.isOurs(side) || table.isOurs(other) {
			t.Error("the streams of the other end are ours")
		}
		find(side, nil, false, true) // never opened
		mine := &Stream{id: table.number()}
		table.open[mine.id] = mine
		if mine.id != side || table.ours != 1 {
			t.Errorf("our first stream has the number %d, %d are ours", mine.id, table.ours)
		}
		find(side, mine, false, false)
		find(2+side, nil, false, true)
		find(other, nil, true, false)
		theirs := &Stream{id: 4 + other}
		table.open[theirs.id] = theirs
		find(theirs.id, theirs, false, false)
		if table.remove(mine) != 0 || table.ours != 0 {
			t.Error("our stream is still counted")
		}
		find(mine.id, nil, false, false) // over
		if table.remove(theirs) != 1 {
			t.Error("a stream with a gap before it makes no run")
		}
		find(theirs.id, nil, false, false) // over
		find(2*2*MaxStreams+other, nil, true, false)
		find(2*(2*MaxStreams+1)+other, nil, false, true) // too far off
		for n := range uint64(2 * MaxStreams) {
			table.open[2*(n+10)+other] = theirs
		}
		find(2+other, nil, false, true) // too many
	}
}

// TestNumberSet: the set has the numbers that were added, in as few runs as possible.
func TestNumberSet(t *testing.T) {
	const most = 60
	for seed := range uint64(200) {
		var set numberSet
		has := map[uint64]bool{}
		for _, n := range newRand(seed).Perm(most)[:most/2] {
			for range 2 {
				set.add(uint64(n))
			}
			has[uint64(n)] = true
		}
		runs := 0
		for n := range uint64(most + 2) {
			if set.has(n) != has[n] {
				t.Fatalf("seed %d: has %d: %t", seed, n, set.has(n))
			}
			if has[n] && (n == 0 || !has[n-1]) {
				runs++
			}
		}
		if len(set.runs) != runs || set.count != uint64(len(has)) {
			t.Fatalf("seed %d: %d runs of %d numbers; want %d of %d", seed, len(set.runs), set.count, runs, len(has))
		}
	}
}
