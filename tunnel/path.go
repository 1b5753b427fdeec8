package tunnel

import (
	"net"
	"time"
)

// firstRTT is the round trip until one was measured.
const firstRTT = 100 * time.Millisecond

// path estimates the delays and losses of the network between both ends.
type path struct {
	rtt      time.Duration // smoothed, of frames that had a lane to themselves
	short    pace          // of short items
	long     pace          // of pieces of long messages
	lossyTo  time.Time     // the path counts as lossy until then
	outliers int           // signs of a lost packet in the last window
	window   time.Time     // when the window began
}

// Losses are believed when they are seen twice within lossWindow, and then for
// lossMemory.
const (
	lossWindow = 10 * time.Second
	lossMemory = 60 * time.Second
	lossTwice  = 2
)

// acknowledged notes how long a flight took.
func (p *path) acknowledged(fl flight, now time.Time) {
	took := now.Sub(fl.at)
	if fl.alone {
		p.sample(took, now)
	}
	if fl.item.short {
		p.short.took(took)
	} else {
		p.long.took(took)
	}
}

// sample notes a round trip of a frame that had the lane to itself.
func (p *path) sample(d time.Duration, now time.Time) {
	if p.rtt == firstRTT {
		p.rtt = d
		return
	}
	if d > p.rtt+p.rtt/2+30*time.Millisecond {
		p.lost(1, now)
		d = min(d, 2*p.rtt)
	}
	p.rtt += (d - p.rtt) / 8
}

// lost notes signs of lost packets.
func (p *path) lost(n int, now time.Time) {
	if now.Sub(p.window) > lossWindow {
		p.window, p.outliers = now, 0
	}
	if p.outliers += n; p.outliers >= lossTwice {
		p.lossyTo = now.Add(lossMemory)
	}
}

// nearby is a round trip below which sending twice does not help: packets are not
// lost inside one machine, and processors are scarce there.
const nearby = 3 * time.Millisecond

// lossy reports whether the path is believed to lose packets.
func (p *path) lossy(now time.Time) bool { return p.rtt >= nearby && now.Before(p.lossyTo) }

// late is when an acknowledgement should have come: after a round trip, the other
// end's delay, and the time that scheduling costs.
func (p *path) late() time.Duration { return p.rtt + max(p.rtt/4, 15*time.Millisecond) + ackDelay }

// stuck is when a frame of a long message does not merely wait for one
// retransmission of TCP's, or in the queue of a slow path, but for several
// retransmissions or a timeout.
func (p *path) stuck() time.Duration {
	if p.long.mean == 0 {
		return firstStuck
	}
	return max(3*p.rtt+50*time.Millisecond, p.long.mean+4*p.long.dev)
}

// firstStuck is stuck before the first acknowledgement has shown how slow the
// path is.
const firstStuck = time.Second

// lateShort is when a short item is sent again, and lateLong when a piece of a long
// message is that some lane has time for.
func (p *path) lateShort() time.Duration { return max(p.late(), p.short.mean+2*p.short.dev) }
func (p *path) lateLong() time.Duration  { return max(p.late(), p.long.mean+p.long.dev) }

// pace is how long frames take until they are acknowledged, with the queues before
// them, and how much that varies (as in RFC 6298 section 2).
type pace struct{ mean, dev time.Duration }

// took notes a frame. A single frame that was held up has little influence.
func (p *pace) took(d time.Duration) {
	if p.mean == 0 {
		p.mean, p.dev = d, d/2
		return
	}
	off := min(d, 2*p.mean+ackDelay) - p.mean
	p.mean += off / 8
	p.dev += (off.Abs() - p.dev) / 4
}

// interval is how often frames in flight are looked at.
func (p *path) interval() time.Duration {
	return min(max(p.rtt/4, 10*time.Millisecond), 100*time.Millisecond)
}

// lossCount holds the kernel's figures of a socket.
type lossCount struct {
	again      uint64        // segments that were sent again
	window     uint32        // segments that may be in flight
	rtt, least time.Duration // TCP's round trip, smoothed, and its minimum
}

// lossEvery is how often losses are counted.
const lossEvery = 100 * time.Millisecond

// countLosses reads from the kernel how much it had to send again. The end of a
// connection's slow start loses packets on any path: one such event is not
// enough to believe in losses.
func (q *scheduler) countLosses(now time.Time) {
	count := now.Sub(q.counted) >= lossEvery
	if count {
		q.counted = now
	}
	for _, l := range q.lanes {
		if l.tcp == nil {
			continue
		}
		loss := lossOf(l.tcp)
		switch {
		case !count:
			loss.again = l.loss.again
		case loss.again > l.loss.again:
			q.path.lost(1, now)
		}
		l.loss = loss
	}
}

// queueSlack is how much round trips vary without a queue.
const queueSlack = 5 * time.Millisecond

// hasEmptyQueues reports whether the queues of the path are empty: TCP's round trips
// take hardly more than their minimum.
func (q *scheduler) hasEmptyQueues() bool {
	mean, least := q.roundTrips(func(*lane) bool { return true })
	return mean > 0 && mean <= least+least/4+queueSlack
}

// roundTrips returns the mean of TCP's round trips on the lanes that count, and their
// minimum; zeros where the kernel's figures are unknown.
func (q *scheduler) roundTrips(counts func(*lane) bool) (mean, least time.Duration) {
	var sum, n time.Duration
	for _, l := range q.lanes {
		if l.loss.rtt == 0 || !counts(l) {
			continue
		}
		if n++; n == 1 || l.loss.least < least {
			least = l.loss.least
		}
		sum += l.loss.rtt
	}
	return sum / max(n, 1), least
}

// Tune asks the kernel for two things that lanes need: a small buffer of unsent
// bytes, so that the last bytes written do not wait long, and the congestion
// control named ("bbr"; "system" and "" leave the system's). Settings that the
// system does not offer are not changed.
func Tune(c *net.TCPConn, congestion string) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { tuneSocket(fd, congestion) }) // only makes it faster
}

// unsentBytes limits the unsent bytes in the kernel (TCP_NOTSENT_LOWAT).
const unsentBytes = 16 << 10
