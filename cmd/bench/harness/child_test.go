package harness

import (
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	var text tail
	for range 10 {
		text.Write([]byte(strings.Repeat("x", tailSize/2) + "end"))
	}
	if got := text.String(); len(got) != tailSize || !strings.HasSuffix(got, "xend") {
		t.Errorf("%d bytes kept, want the last %d", len(got), tailSize)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 3: {9, 1, 3}, 2.5: {4, 1, 2, 3}} {
		if got := Median(values); got != want {
			t.Errorf("%v: %v, want %v", values, got, want)
		}
	}
}
