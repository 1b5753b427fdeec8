package wan

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// grain is the unit to which sleeps are rounded up: two full packets at 100 Mbit/s.
// A wake-up for each packet would cost more processor time than the programs measured.
const grain = 250 * time.Microsecond

// maxQueued bounds the packets under way in one direction: 48 MB of full ones.
// 100 Mbit/s with 200 ms under way need 1700; an unlimited rate may need more,
// and then it is this that limits it.
const maxQueued = 32 << 10

// pump carries packets in one direction, from one TUN device to the other.
type pump struct {
	in, out *os.File
	shaper  *shaper
	queue   chan packet // of maxQueued, in the order they are due
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

// packet is a packet under way.
type packet struct {
	due    time.Duration
	buffer *[mtu]byte
	size   int
}

// buffers are those of packets.
var buffers = sync.Pool{New: func() any { return new([mtu]byte) }}

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

func (p *pump) write() {
	for {
		select {
		case next := <-p.queue:
			for now := time.Since(p.start); now < next.due; now = time.Since(p.start) {
				if p.alarm.sleep(int64(max(next.due-now, grain))) != nil {
					return // closed
				}
			}
			p.deliver(next.buffer[:next.size])
			buffers.Put(next.buffer)
		case <-p.closed:
			return
		}
	}
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
// chooses, so that concurrent links do not collide. It disappears with the file.
func openTUN() (file *os.File, name string, err error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%w: open %s: %w", ErrUnsupported, path, err)
	}
	request, err := unix.NewIfreq("wan%d")
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

// alarm wakes its one goroutine to the microsecond: Go's own
// timers may be a millisecond late when nothing else runs, which is twelve
// kilobytes at 100 Mbit/s.
type alarm struct{ file *os.File }

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &alarm{os.NewFile(uintptr(fd), "timerfd")}, nil
}

// sleep returns after nanoseconds, more than 0, or with an error once the alarm is closed.
func (a *alarm) sleep(nanoseconds int64) error {
	raw, err := a.file.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(nanoseconds)}, nil)
	})
	if err != nil {
		return err
	}
	if setErr != nil {
		return setErr
	}
	var expirations [8]byte
	_, err = a.file.Read(expirations[:])
	return err
}
