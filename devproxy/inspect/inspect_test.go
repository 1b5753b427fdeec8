package inspect

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestRecentIsTheLastRecordedNewestFirst(t *testing.T) {
	r := &Recorder{Capacity: 7}
	var model []string
	for i := range 40 {
		target := fmt.Sprintf("/%d", i)
		r.Record(Exchange{Target: target})
		model = append([]string{target}, model...)
		for _, n := range []int{0, 1, 3, 7, 100} {
			got := r.Recent(n)
			want := model[:min(n, 7, len(model))]
			if len(got) != len(want) {
				t.Fatalf("after %d: Recent(%d) has %d, want %d", i+1, n, len(got), len(want))
			}
			for k := range want {
				if got[k].Target != want[k] || got[k].ID != uint64(i+1-k) {
					t.Fatalf("after %d: Recent(%d)[%d] = %d %s, want %s", i+1, n, k, got[k].ID, got[k].Target, want[k])
				}
			}
		}
	}
}

func TestNothingRecordedYet(t *testing.T) {
	if got := new(Recorder).Recent(5); len(got) != 0 {
		t.Errorf("Recent = %v", got)
	}
}

func TestWhatAStrangerChoosesIsClipped(t *testing.T) {
	long := "x" + strings.Repeat("é", 1<<19) // cut in the middle of a character
	var r Recorder
	r.Record(Exchange{Method: long, Host: long, Target: long, Error: long})
	x := r.Recent(1)[0]
	for name, kept := range map[string]string{"method": x.Method, "host": x.Host, "target": x.Target, "error": x.Error} {
		if len(kept) > maxTarget+len("…") || !utf8.ValidString(kept) {
			t.Errorf("kept %d bytes of the %s: %q", len(kept), name, kept[max(0, len(kept)-8):])
		}
	}
}

func TestASlowSubscriberLosesExchangesAndHoldsNobodyUp(t *testing.T) {
	var r Recorder
	s := r.Subscribe(2)
	for range 5 {
		r.Record(Exchange{})
	}
	if first, second := <-s.C, <-s.C; first.ID != 1 || second.ID != 2 {
		t.Errorf("received %d, %d", first.ID, second.ID)
	}
	if missed := s.Missed(); missed != 3 {
		t.Errorf("missed = %d, want 3", missed)
	}
	if missed := s.Missed(); missed != 0 {
		t.Errorf("missed is counted twice: %d", missed)
	}
}

func TestConcurrentRecordsGetTheirOwnIDs(t *testing.T) {
	r := &Recorder{Capacity: 4000}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				r.Record(Exchange{})
				r.Recent(3)
			}
		})
	}
	group.Wait()
	seen := map[uint64]bool{}
	for _, x := range r.Recent(4000) {
		seen[x.ID] = true
	}
	if len(seen) != 4000 {
		t.Errorf("%d different IDs, want 4000", len(seen))
	}
}

func BenchmarkRecord(b *testing.B) {
	var r Recorder
	x := Exchange{Method: "GET", Host: "shop.localhost", Target: "/api/users?page=2"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Record(x)
		}
	})
}
