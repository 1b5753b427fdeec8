package tunnel

import (
	"slices"
	"time"
)

// flight is an item that a lane has written.
type flight struct {
	item *item
	at   time.Time
	// alone is set when nothing else was in flight on the lane, so that the time to
	// its acknowledgement is the round trip.
	alone bool
}

// outbound is the sending side of a lane: the items on it that the other end has not
// acknowledged. Like all types here without a mutex, it is guarded by the session's.
type outbound struct {
	queue   []*item  // to be written next
	flights []flight // written, in order
	sent    uint64   // counted frames written
	unacked int      // bytes in queue and flights
}

// load counts an item that the lane is to carry.
func (o *outbound) load(it *item) {
	it.copies++
	o.unacked += it.size()
}

// unload counts an item that the lane no longer carries.
func (o *outbound) unload(it *item) {
	it.copies--
	o.unacked -= it.size()
}

// wrote puts an item into flight.
func (o *outbound) wrote(it *item, now time.Time, alone bool) {
	it.written = true
	o.sent++
	o.flights = append(o.flights, flight{it, now, alone})
}

// acknowledge takes off, and returns, the flights that the other end's count of
// frames newly acknowledges.
func (o *outbound) acknowledge(count uint64) ([]flight, error) {
	if count > o.sent {
		return nil, protocolErrorf("an acknowledgement of %d frames on a lane that sent %d", count, o.sent)
	}
	n := len(o.flights) - int(o.sent-count)
	if n <= 0 {
		return nil, nil // out of date
	}
	acked := o.flights[:n]
	o.flights = o.flights[n:]
	freeEmpty(&o.flights)
	for _, fl := range acked {
		o.unload(fl.item)
	}
	return acked, nil
}

// stalled returns for how long the oldest frame in flight has been on its way.
func (o *outbound) stalled(now time.Time) time.Duration {
	if len(o.flights) == 0 {
		return 0
	}
	return now.Sub(o.flights[0].at)
}

// empty reports whether everything was acknowledged.
func (o *outbound) empty() bool { return len(o.flights)+len(o.queue) == 0 }

// items returns everything that is not acknowledged, in the order it was given.
func (o *outbound) items() []*item {
	items := make([]*item, 0, len(o.flights)+len(o.queue))
	for _, fl := range o.flights {
		items = append(items, fl.item)
	}
	return append(items, o.queue...)
}

// carries reports whether an item is in flight.
func (o *outbound) carries(it *item) bool {
	return it.copies > 0 && slices.ContainsFunc(o.flights, func(fl flight) bool { return fl.item == it })
}

// acknowledger counts the frames that this end has to acknowledge. The counted frames
// of all lanes are numbered in the order they are read, so that a lane knows which
// counts have grown since it last carried them.
type acknowledger struct {
	read  uint64 // counted frames
	bytes int    // of data, since the last acknowledgement
	due   bool   // an acknowledgement is to follow within ackDelay
}

// inbound is the receiving side of a lane.
type inbound struct {
	received uint64 // counted frames read
	last     uint64 // the acknowledger's number of the newest one
	told     uint64 // the acknowledger's number when this lane last carried counts
	ackNow   bool   // the lane is to carry counts even without anything else to write
}

// count notes a frame that came on a lane. It reports whether enough has come to be
// acknowledged at once, and not with the next frame or after ackDelay.
func (a *acknowledger) count(in *inbound, size int) (now bool) {
	a.read++
	in.received++
	in.last = a.read
	a.bytes += size
	return a.bytes >= ackBytes
}

// append appends to b the counts that lane l has not carried yet.
func (a *acknowledger) append(b []byte, l *lane, lanes []*lane) []byte {
	l.ackNow = false
	for _, other := range lanes {
		if other.last > l.told {
			f := wireFrame{kind: kindAck, lane: uint64(other.number), number: other.received}
			b = f.append(b)
		}
	}
	l.told = a.read
	return b
}
