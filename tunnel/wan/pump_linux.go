package wan

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// grain is what wake-ups are rounded up to: two full packets at 100 Mbit/s.
// A wake-up for each would cost more of the machine than the programs measured.
const grain = 250 * time.Microsecond

// pump carries packets in one direction, from one TUN device to the other.
type pump struct {
	in, out *os.File
	shaper  *shaper
	queue   *queue
	alarm   *alarm
	start   time.Time
	cut     *atomic.Bool
	closed  chan struct{} // the link's: no more packets

	sent, arrived, bytes, lost, dropped, blocked atomic.Uint64
}

// run carries packets until both devices and the alarm are closed.
func (p *pump) run(wg *sync.WaitGroup) {
	wg.Go(p.read)
	wg.Go(p.write)
}

func (p *pump) read() {
	buf := make([]byte, mtu)
	for {
		n, err := p.in.Read(buf)
		if err != nil {
			return // closed
		}
		p.take(buf[:n])
		p.sent.Add(1) // last: it tells that the packet's fate is known
	}
}

// take decides about a packet that was just sent.
func (p *pump) take(data []byte) {
	if p.cut.Load() {
		p.blocked.Add(1)
		return
	}
	due, f := p.shaper.admit(time.Since(p.start), len(data))
	if f == delivered && !p.queue.push(due, data) {
		f = dropped
	}
	switch f {
	case lost:
		p.lost.Add(1)
	case dropped:
		p.dropped.Add(1)
	}
}

func (p *pump) write() {
	buf := make([]byte, mtu)
	for {
		now := time.Since(p.start)
		n, next, more := p.queue.pop(now, buf)
		switch {
		case n > 0:
			p.deliver(buf[:n])
		case more:
			if p.alarm.sleep(int64(max(next-now, grain))) != nil {
				return // closed
			}
		default:
			select {
			case <-p.queue.filled:
			case <-p.closed:
				return
			}
		}
	}
}

// deliver hands a packet to the other end. What was under way when the cable
// was cut is lost as well.
func (p *pump) deliver(data []byte) {
	if p.cut.Load() {
		p.blocked.Add(1)
		return
	}
	if _, err := p.out.Write(data); err != nil {
		p.dropped.Add(1) // the kernel's end is out of memory, or closed
		return
	}
	p.arrived.Add(1)
	p.bytes.Add(uint64(len(data)))
}

func (p *pump) stats() Stats {
	return Stats{
		Sent: p.sent.Load(), Delivered: p.arrived.Load(), DeliveredBytes: p.bytes.Load(),
		Lost: p.lost.Load(), Dropped: p.dropped.Load(), Cut: p.blocked.Load(),
	}
}
