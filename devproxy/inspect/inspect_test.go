package inspect

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestWhatAStrangerChoosesIsClipped(t *testing.T) {
	long := "x" + strings.Repeat("é", 1<<19) // cut in the middle of a character
	r := make(Recorder, 1)
	r.Record(Exchange{Method: long, Host: long, Target: long, Error: long, Show: long})
	x := <-r
	for name, kept := range map[string]string{"method": x.Method, "host": x.Host, "target": x.Target, "error": x.Error, "show": x.Show} {
		if len(kept) > maxTarget+len("…") || !utf8.ValidString(kept) {
			t.Errorf("kept %d bytes of the %s: %q", len(kept), name, kept[max(0, len(kept)-8):])
		}
	}
}

func TestASlowReaderLosesExchangesAndHoldsNoRequestUp(t *testing.T) {
	r := make(Recorder, 2)
	for i := range 5 {
		r.Record(Exchange{Status: i + 1})
	}
	if first, second := <-r, <-r; first.Status != 1 || second.Status != 2 {
		t.Errorf("received %d, %d", first.Status, second.Status)
	}
	if len(r) != 0 {
		t.Errorf("%d more than the buffer holds", len(r))
	}
	r.Record(Exchange{Status: 6})
	if next := <-r; next.Status != 6 {
		t.Errorf("received %d after the reader has caught up, want 6", next.Status)
	}
}

func TestConcurrentRecordsAllArrive(t *testing.T) {
	r := make(Recorder, 4000)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 500 {
				r.Record(Exchange{Target: strconv.Itoa(g*500 + i)})
			}
		})
	}
	group.Wait()
	seen := map[string]bool{}
	for range 4000 {
		x := <-r
		seen[x.Target] = true
	}
	if len(seen) != 4000 {
		t.Errorf("%d different exchanges, want 4000", len(seen))
	}
}

func BenchmarkRecord(b *testing.B) {
	r := make(Recorder, 1000)
	x := Exchange{Method: "GET", Host: "shop.localhost", Target: "/api/users?page=2"}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Record(x)
		}
	})
}
