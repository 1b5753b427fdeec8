package wan

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grain is the unit to which sleeps are rounded up: two full packets at 100 Mbit/s.
	// A wake-up for each packet would cost more processor time than the programs measured.
	grain = 250 * time.Microsecond
	// longestSleep bounds for how long closing a link waits.
	longestSleep = 10 * time.Millisecond
)

// maxQueued bounds the packets under way in one direction: 48 MB of full ones.
// 100 Mbit/s with 200 ms under way need 1700; an unlimited rate may need more,
// and then it is this that limits it.
const maxQueued = 32 << 10

// pump carries packets in one direction, from one TUN device to the other.
type pump struct {
	in, out *os.File
	shaper  *shaper
	queue   chan packet // of maxQueued, in the order they are due
	start   time.Time
	cut     *atomic.Bool
	closed  chan struct{} // the link's: no more packets

	sent, arrived, bytes, lost, dropped, blocked atomic.Uint64
}

// packet is a packet under way.
type packet struct {
	due    time.Duration
	buffer *[mtu]byte
	size   int
}

// buffers are those of packets.
var buffers = sync.Pool{New: func() any { return new([mtu]byte) }}

// read takes packets until the device is closed.
func (p *pump) read() {
	for {
		buffer := buffers.Get().(*[mtu]byte)
		n, err := p.in.Read(buffer[:])
		if err != nil {
			return // closed
		}
		p.take(packet{buffer: buffer, size: n})
		p.sent.Add(1) // last: now the packet's fate is known
	}
}

// take decides the fate of a packet that was just sent.
func (p *pump) take(sent packet) {
	if p.cut.Load() {
		p.blocked.Add(1)
		return
	}
	due, f := p.shaper.admit(time.Since(p.start), sent.size)
	sent.due = due
	switch f {
	case delivered:
		select {
		case p.queue <- sent:
		default:
			p.dropped.Add(1)
		}
	case lost:
		p.lost.Add(1)
	case dropped:
		p.dropped.Add(1)
	}
}

// write delivers packets until the link is closed.
func (p *pump) write() {
	for {
		select {
		case next := <-p.queue:
			if p.sleep(next.due) {
				p.deliver(next.buffer[:next.size])
			}
			buffers.Put(next.buffer)
		case <-p.closed:
			return
		}
	}
}

// sleep returns true at a time, or false once the link is closed. It blocks its thread:
// Go's own timers may be a millisecond late when nothing else runs, which is twelve
// kilobytes at 100 Mbit/s.
func (p *pump) sleep(until time.Duration) bool {
	for left := until - time.Since(p.start); left > 0; left = until - time.Since(p.start) {
		select {
		case <-p.closed:
			return false
		default:
		}
		pause := unix.NsecToTimespec(int64(min(max(left, grain), longestSleep)))
		_ = unix.Nanosleep(&pause, nil) // a signal ends it early
	}
	return true
}

// deliver hands a packet to the other end. Packets that are under way when the cable
// is cut are lost as well.
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

// mtu is Ethernet's, which is that of most paths.
const mtu = 1500

// openTUN makes a TUN device in this namespace, under a name that the kernel
// chooses, so that concurrent links do not collide. It is never [device]: a
// device of that name is always in a namespace. It disappears with the file.
func openTUN() (file *os.File, name string, err error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%w: open %s: %w", ErrUnsupported, path, err)
	}
	request, err := unix.NewIfreq("wan-new%d")
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, "", fmt.Errorf("%w: make a TUN device, which needs CAP_NET_ADMIN: %w", ErrUnsupported, err)
	}
	return os.NewFile(uintptr(fd), path), request.Name(), nil
}
