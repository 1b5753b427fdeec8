package share

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantiles(t *testing.T) {
	m := newMeter()
	for i := 100; i > 0; i-- {
		m.add(time.Duration(i)*time.Millisecond, 10, nil)
	}
	r := m.result("r")
	if r.P50 != 51 || r.P95 != 96 || r.P99 != 100 || r.Max != 100 || r.OK != 100 {
		t.Errorf("%+v", r)
	}
	if empty := newMeter().result("r"); empty.P50 != 0 || empty.OK != 0 {
		t.Errorf("of nothing: %+v", empty)
	}
}

// TestMedian: each figure has its own median, errors add up, and the worst
// count of successes stays.
func TestMedian(t *testing.T) {
	facts := &sessionFacts{Lanes: 4}
	got := median([]result{
		{Row: "r", OK: 10, Total: 3, P50: 1, MBs: 9, Errors: map[string]int{"a": 1}},
		{Row: "r", OK: 8, Total: 1, P50: 3, MBs: 8, Errors: map[string]int{"a": 1, "b": 1}},
		{Row: "r", OK: 10, Total: 2, P50: 2, MBs: 7, Session: facts},
	})
	want := result{Row: "r", OK: 8, Total: 2, P50: 2, MBs: 8, Errors: map[string]int{"a": 2, "b": 1}, Session: facts}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
