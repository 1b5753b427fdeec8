package share

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	b, err := parse(strings.Fields("--raw --row download,small --cc cubic,bbr --lanes 4,8 -n 5 --rtt 20ms --loss 2.5"))
	if err != nil {
		t.Fatal(err)
	}
	if !b.raw || names(b.rows) != "download,small" || !slices.Equal(b.cc, []string{"cubic", "bbr"}) ||
		!slices.Equal(b.lanes, []int{4, 8}) || b.repeats != 5 || b.path.RTT != 20*time.Millisecond || b.path.Loss != 2.5 {
		t.Errorf("%+v", b)
	}
}

func TestParseDefaults(t *testing.T) {
	b, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.rows) != len(allRows()) || !slices.Equal(b.cc, []string{"cubic"}) || b.path.RTT != 80*time.Millisecond || b.path.Loss != 1 || b.path.Rate != 100 {
		t.Errorf("%+v", b)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{"--row nonesuch", "--lanes 0", "--lanes many", "-n 0", "--sessions -1", "left over", "--nonesuch"} {
		if _, err := parse(strings.Fields(line)); err == nil {
			t.Errorf("%s is accepted", line)
		}
	}
}
