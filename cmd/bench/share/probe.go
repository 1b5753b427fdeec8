package share

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
	"github.com/devproxy/devproxy/tunnel"
)

// The probe is the best that plain sockets can do: short messages on the socket
// with the least in flight, and copied to a second; long ones in frames on
// whichever socket accepts them. It has no acknowledgement, credit or resumption.
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
	wg    sync.WaitGroup
}

type probeLane struct {
	conn    *net.TCPConn
	short   chan []byte
	waiting atomic.Int64 // bytes in short
}

// newProbeEnd calls got for each frame that it reads.
func newProbeEnd(conns []*net.TCPConn, got func(e *probeEnd, id, size, offset uint32, n int)) *probeEnd {
	e := &probeEnd{long: make(chan []byte)}
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
		e.wg.Go(func() { l.read(func(id, size, offset uint32, n int) { got(e, id, size, offset, n) }) })
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

// send sends a message of n bytes, with size in its frames.
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

// shortest is the lane with the least in flight, except other.
func (e *probeEnd) shortest(other *probeLane) *probeLane {
	var best *probeLane
	least := int64(math.MaxInt64)
	for _, l := range e.lanes {
		if l == other {
			continue
		}
		if n := l.waiting.Load() + int64(harness.Unacknowledged(l.conn)); n < least {
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

// probeServe answers each request once.
func probeServe(_ context.Context, s spec) error {
	conns := make([]*net.TCPConn, 0, s.Lanes)
	for range s.Lanes {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			return err
		}
		conns = append(conns, conn.(*net.TCPConn))
	}
	var seen sync.Map
	end := newProbeEnd(conns, func(end *probeEnd, id, size, _ uint32, _ int) {
		if _, twice := seen.LoadOrStore(id, true); !twice {
			go end.send(id, size, int(size))
		}
	})
	end.wg.Wait() // until the other end leaves, or the parent ends this process
	return nil
}

// probeClient sends requests and collects the responses.
type probeClient struct {
	end *probeEnd
	ids atomic.Uint32

	mu   sync.Mutex
	open map[uint32]*probeAnswer
}

type probeAnswer struct {
	seen map[uint32]bool // offsets
	got  int64
	done chan struct{}
}

func (c *probeClient) take(_ *probeEnd, id, size, offset uint32, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.open[id]
	if a == nil || a.seen[offset] {
		return
	}
	a.seen[offset] = true
	if a.got += int64(n); a.got == int64(size) {
		close(a.done)
	}
}

func (c *probeClient) get(ctx context.Context, size int) (int64, error) {
	id := c.ids.Add(1)
	a := &probeAnswer{seen: map[uint32]bool{}, done: make(chan struct{})}
	c.mu.Lock()
	c.open[id] = a
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, id)
	}()
	c.end.send(id, uint32(size), requestSize)
	select {
	case <-a.done:
		return int64(size), nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		return a.got, ctx.Err()
	}
}

func (*probeClient) stall(context.Context, int) error {
	return errors.New("the probe has no flow control, so no visitor can stop reading")
}

func probeLoad(ctx context.Context, s spec) error {
	listener, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := tell(message{Ready: listener.Addr().String()}); err != nil {
		return err
	}
	const patience = 30 * time.Second // the first packets may be lost
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var conns []*net.TCPConn
	for range s.Lanes {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		conns = append(conns, conn.(*net.TCPConn))
	}
	c := &probeClient{open: map[uint32]*probeAnswer{}}
	c.end = newProbeEnd(conns, c.take)
	defer c.end.close()
	return s.tellRows(ctx, c, func() *sessionFacts {
		return &sessionFacts{Lanes: s.Lanes, Congestion: harness.Congestion(conns[0])}
	})
}
