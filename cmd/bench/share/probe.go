package share

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/devproxy/devproxy/tunnel"
)

// The probe is what plain sockets can do at best: short messages on the socket
// with the least under way, and copied to a second; long ones in frames on
// whichever socket takes them. It has no acknowledgement, credit or resumption.
const (
	probeFrame  = 16 << 10
	probeHeader = 14 // id, size and offset of the message, length of the frame
	// probeFree sockets carry no long messages, when there are enough.
	probeFree = 3
)

// probeEnd is one end: a set of sockets.
type probeEnd struct {
	lanes []*probeLane
	long  chan []byte
	got   func(id, size, offset uint32, n int)
	wg    sync.WaitGroup
}

type probeLane struct {
	conn    *net.TCPConn
	short   chan []byte
	waiting atomic.Int64 // bytes in short
}

func newProbeEnd(conns []*net.TCPConn, got func(id, size, offset uint32, n int)) *probeEnd {
	e := &probeEnd{long: make(chan []byte), got: got}
	for _, c := range conns {
		tunnel.Tune(c, "system")
		e.lanes = append(e.lanes, &probeLane{conn: c, short: make(chan []byte, 1024)})
	}
	for i, l := range e.lanes {
		long := e.long
		if i < probeFree && len(e.lanes) > 2*probeFree {
			long = nil
		}
		e.wg.Go(func() { l.write(long) })
		e.wg.Go(func() { l.read(got) })
	}
	return e
}

func (l *probeLane) write(long <-chan []byte) {
	for {
		var frame []byte
		select {
		case frame = <-l.short:
			l.waiting.Add(-int64(len(frame)))
		default:
			select {
			case frame = <-l.short:
				l.waiting.Add(-int64(len(frame)))
			case frame = <-long:
			}
		}
		if frame == nil {
			return // closed
		}
		if _, err := l.conn.Write(frame); err != nil {
			return
		}
	}
}

func (l *probeLane) read(got func(id, size, offset uint32, n int)) {
	r := bufio.NewReaderSize(l.conn, 64<<10)
	var h [probeHeader]byte
	for {
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(h[12:]))
		if _, err := r.Discard(n); err != nil {
			return
		}
		got(binary.BigEndian.Uint32(h[0:]), binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:]), n)
	}
}

// send sends a message of size zeros, padded to n bytes, which tells size.
func (e *probeEnd) send(id, size uint32, n int) {
	for offset := 0; offset < n; offset += probeFrame {
		length := min(probeFrame, n-offset)
		f := make([]byte, probeHeader+length)
		binary.BigEndian.PutUint32(f[0:], id)
		binary.BigEndian.PutUint32(f[4:], size)
		binary.BigEndian.PutUint32(f[8:], uint32(offset))
		binary.BigEndian.PutUint16(f[12:], uint16(length))
		if n > probeFrame {
			e.long <- f
			continue
		}
		first := e.shortest(nil)
		first.push(f)
		if second := e.shortest(first); second != nil {
			second.push(f)
		}
	}
}

func (l *probeLane) push(frame []byte) {
	l.waiting.Add(int64(len(frame)))
	l.short <- frame
}

// shortest is the lane with the least under way, other than one.
func (e *probeEnd) shortest(other *probeLane) *probeLane {
	var best *probeLane
	least := int64(1) << 62
	for _, l := range e.lanes {
		if l == other {
			continue
		}
		if n := l.waiting.Load() + int64(unacknowledged(l.conn)); n < least {
			best, least = l, n
		}
	}
	return best
}

func (e *probeEnd) close() {
	for _, l := range e.lanes {
		l.conn.Close()
		close(l.short)
	}
	e.wg.Wait()
}
