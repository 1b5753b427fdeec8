package tunnel

import (
	"net"
	"time"
)

// firstRTT is what the round trip is taken for before it is known.
const firstRTT = 100 * time.Millisecond

// path is what is known of the way between both ends.
type path struct {
	rtt      time.Duration // smoothed, of frames that nothing was before
	short    pace          // of short items
	long     pace          // of pieces of long messages
	lossyTo  time.Time     // the path counts as lossy until then
	outliers int           // samples, of the last window, that a lost packet explains
	window   time.Time     // when the window began
}

// Loss is believed when it is seen twice within lossWindow, and then for
// lossMemory.
const (
	lossWindow = 10 * time.Second
	lossMemory = 60 * time.Second
	lossTwice  = 2
)

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

// nearby is a round trip below which sending twice helps nobody: packets are
// not lost on the machine itself, and processors are what is scarce there.
const nearby = 3 * time.Millisecond

// lossy reports whether the path is believed to lose packets.
func (p *path) lossy(now time.Time) bool { return p.rtt >= nearby && now.Before(p.lossyTo) }

// late is after how long an acknowledgement should have come: a round trip, the
// other end's delay, and what scheduling costs.
func (p *path) late() time.Duration { return p.rtt + max(p.rtt/4, 15*time.Millisecond) + ackDelay }

// stuck is after how long a long message's frame is not merely behind one
// retransmission of TCP's, or others in the queue of a slow path, but behind
// several or a time-out.
func (p *path) stuck() time.Duration {
	if p.long.mean == 0 {
		return firstStuck
	}
	return max(3*p.rtt+50*time.Millisecond, p.long.mean+4*p.long.dev)
}

// firstStuck is stuck before the first acknowledgement has shown how slow the
// path is.
const firstStuck = time.Second

// lateShort is after how long a short item is sent again, and lateLong a piece
// of a long message for which there is a lane with nothing else to do.
func (p *path) lateShort() time.Duration { return max(p.late(), p.short.mean+2*p.short.dev) }
func (p *path) lateLong() time.Duration  { return max(p.late(), p.long.mean+p.long.dev) }

// pace is how long frames take until they are acknowledged, with the queues
// before them, and how much that differs (as in RFC 6298 section 2).
type pace struct{ mean, dev time.Duration }

// took notes a frame. One that something held up does not make all late.
func (p *pace) took(d time.Duration) {
	if p.mean == 0 {
		p.mean, p.dev = d, d/2
		return
	}
	off := min(d, 2*p.mean+ackDelay) - p.mean
	p.mean += off / 8
	p.dev += (off.Abs() - p.dev) / 4
}

// glance is how often frames in flight are looked at.
func (p *path) glance() time.Duration {
	return min(max(p.rtt/4, 10*time.Millisecond), 100*time.Millisecond)
}

// lossCount is a socket's count of what was sent and sent again.
type lossCount struct {
	sent, again uint64
	window      uint32        // segments that may be in flight
	rtt, least  time.Duration // TCP's round trip, smoothed, and its least
}

// lossEvery is how often the sockets are asked for their counts.
const lossEvery = 100 * time.Millisecond

// countLossLocked asks the kernel what it had to send again. The end of a
// connection's slow start loses packets on any path: one such event is not
// enough to believe in loss.
func (s *Session) countLossLocked(now time.Time) {
	if now.Sub(s.counted) < lossEvery {
		return
	}
	s.counted = now
	for _, l := range s.lanes {
		if l.tcp == nil {
			continue
		}
		count, ok := lossOf(l.tcp)
		if ok && count.again > l.loss.again {
			s.path.lost(1, now)
		}
		l.loss = count
	}
}

// emptyLocked reports whether the queues of the path are empty: TCP's round
// trips take hardly more than they can.
func (s *Session) emptyLocked() bool {
	var sum, least time.Duration
	n := time.Duration(0)
	for _, l := range s.lanes {
		if l.loss.rtt > 0 {
			n++
			sum += l.loss.rtt
			if least == 0 || l.loss.least < least {
				least = l.loss.least
			}
		}
	}
	return n > 0 && sum/n <= least+least/4+5*time.Millisecond
}

// Tune asks the kernel for what lanes need: little unsent in its buffer, so
// that what is given to it last does not wait long, and the congestion control
// named ("bbr"; "system" and "" ask for none). What the system does not offer
// stays as it is.
func Tune(c *net.TCPConn, congestion string) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { tuneSocket(fd, congestion) }) // an optimisation: as good as not there
}

// unsentBytes is what may wait unsent in the kernel (TCP_NOTSENT_LOWAT).
const unsentBytes = 16 << 10
