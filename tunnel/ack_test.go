package tunnel

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestAcknowledge: a count takes the oldest flights off a lane, once.
func TestAcknowledge(t *testing.T) {
	var o outbound
	now := time.Unix(1e9, 0)
	items := []*item{short(10), long(20), short(30)}
	for i, it := range items {
		o.load(it)
		o.wrote(it, now.Add(time.Duration(i)*time.Second), i == 0)
	}
	if o.stalled(now.Add(time.Minute)) != time.Minute || !o.carries(items[2]) || o.empty() {
		t.Errorf("stalled for %v, carries the last item: %t, empty: %t", o.stalled(now.Add(time.Minute)), o.carries(items[2]), o.empty())
	}
	for _, c := range []struct {
		count uint64
		want  []*item
		left  int // unacknowledged bytes
	}{
		{0, nil, 60 + 3*overhead},
		{2, items[:2], 30 + overhead},
		{2, nil, 30 + overhead}, // again
		{1, nil, 30 + overhead}, // out of date
		{3, items[2:], 0},
	} {
		flights, err := o.acknowledge(c.count)
		var got []*item
		for _, fl := range flights {
			got = append(got, fl.item)
			if fl.item.copies != 0 {
				t.Errorf("an acknowledged item has %d copies", fl.item.copies)
			}
		}
		if err != nil || !slices.Equal(got, c.want) || o.unacked != c.left {
			t.Errorf("%d: %d items, %v, %d bytes left; want %d, %d", c.count, len(got), err, o.unacked, len(c.want), c.left)
		}
	}
	if !o.empty() || o.carries(items[2]) || o.stalled(now) != 0 {
		t.Error("the lane still carries something")
	}
	_, err := o.acknowledge(4)
	if _, broken := errors.AsType[*ProtocolError](err); !broken {
		t.Errorf("a count of more than was sent: %v", err)
	}
}

// TestCounts: each lane carries every count that has grown since it last did, and
// counts are due at once after ackBytes.
func TestCounts(t *testing.T) {
	var a acknowledger
	lanes := []*lane{{number: 1}, {number: 2}, {number: 3}}
	one, two := lanes[0], lanes[1]
	if a.count(&one.inbound, ackBytes-1) || !a.count(&two.inbound, 1) {
		t.Error("counts are not due at once after ackBytes, or before")
	}
	one.ackNow = true
	counts := func(l *lane, want ...wireFrame) {
		t.Helper()
		var b []byte
		for _, f := range want {
			b = f.append(b)
		}
		if got := a.append(nil, l, lanes); !slices.Equal(got, b) {
			t.Errorf("lane %d carries %x; want %x", l.number, got, b)
		}
	}
	first, second := wireFrame{kind: kindAck, lane: 1, number: 1}, wireFrame{kind: kindAck, lane: 2, number: 1}
	counts(one, first, second)
	counts(one)
	counts(two, first, second)
	a.count(&two.inbound, 0)
	second.number = 2
	counts(one, second)
	counts(lanes[2], first, second)
	if one.ackNow {
		t.Error("the lane is still to carry counts")
	}
}
