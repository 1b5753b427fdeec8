package tunnel

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// wire is one direction of a connection in memory: bytes arrive in order, each
// after the latency, as fast as the rate. It has a clock of its own in a
// synctest bubble.
type wire struct {
	latency func() time.Duration
	link    *link
	turn    chan struct{} // writes do not mix

	mu      sync.Mutex
	change  sync.Cond
	chunks  []chunk
	size    int       // bytes in chunks
	due     time.Time // when the last chunk arrives
	held    bool      // nothing arrives
	hung    bool      // the writer said goodbye
	dead    bool      // both ends fail
	deaf    bool      // the reader has closed
	readBy  time.Time
	writeBy time.Time
}

// link is what one or several wires send over.
type link struct {
	rate int // bytes a second; 0 is without bound

	mu   sync.Mutex
	free time.Time // when the last byte has left
}

// send is when n bytes more have left.
func (l *link) send(n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.free.Before(now) {
		l.free = now
	}
	if l.rate > 0 {
		l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
	}
	return l.free
}

// chunk is bytes on their way.
type chunk struct {
	due  time.Time
	data []byte
}

// wireBuffer is what a wire holds, as the buffers of a socket.
const wireBuffer = 64 << 10

func newWire(latency func() time.Duration, link *link) *wire {
	w := &wire{latency: latency, link: link, turn: make(chan struct{}, 1)}
	w.change.L = &w.mu
	return w
}

// wirePair is both ends of a connection of two wires.
func wirePair(latency func() time.Duration, rate int) (near, far *wireConn) {
	return wirePairOver(latency, &link{rate: rate}, &link{rate: rate})
}

// wirePairOver is wirePair over links that other wires use too.
func wirePairOver(latency func() time.Duration, up, down *link) (near, far *wireConn) {
	there, back := newWire(latency, up), newWire(latency, down)
	return &wireConn{out: there, in: back}, &wireConn{out: back, in: there}
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// until wakes waiting goroutines at the time t.
func (w *wire) until(t time.Time) *time.Timer {
	return time.AfterFunc(time.Until(t), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.change.Broadcast()
	})
}

// passed reports whether a moment has passed; the zero one never is.
func (w *wire) passed(by time.Time) bool {
	if by.IsZero() {
		return false
	}
	return !time.Now().Before(by)
}

func (w *wire) read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.deaf:
			return 0, net.ErrClosed
		case w.passed(w.readBy):
			return 0, os.ErrDeadlineExceeded
		case w.dead:
			return 0, syscall.ECONNRESET
		case len(w.chunks) == 0 && w.hung && !w.held && !time.Now().Before(w.due):
			return 0, io.EOF
		case len(w.chunks) > 0 && !w.held && w.passed(w.chunks[0].due):
			return w.takeOff(p), nil
		}
		w.wait(w.readBy)
	}
}

// wait waits for a change, the deadline, or what arrives next.
func (w *wire) wait(by time.Time) {
	next := by
	if !w.held {
		for _, t := range []time.Time{w.due, w.firstDue()} {
			if t.After(time.Now()) && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	if !next.IsZero() {
		defer w.until(next).Stop()
	}
	w.change.Wait()
}

func (w *wire) firstDue() time.Time {
	if len(w.chunks) == 0 {
		return time.Time{}
	}
	return w.chunks[0].due
}

func (w *wire) takeOff(p []byte) int {
	n := 0
	for len(w.chunks) > 0 && n < len(p) && w.passed(w.chunks[0].due) {
		c := &w.chunks[0]
		m := copy(p[n:], c.data)
		n += m
		if c.data = c.data[m:]; len(c.data) == 0 {
			w.chunks = w.chunks[1:]
		}
	}
	w.size -= n
	w.change.Broadcast()
	return n
}

func (w *wire) write(p []byte) (int, error) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.mu.Lock()
	defer w.mu.Unlock()
	written := 0
	for len(p) > 0 {
		switch {
		case w.hung:
			return written, net.ErrClosed
		case w.passed(w.writeBy):
			return written, os.ErrDeadlineExceeded
		case w.dead:
			return written, syscall.ECONNRESET
		case w.deaf:
			return written, syscall.EPIPE
		}
		n := min(len(p), wireBuffer-w.size)
		if n <= 0 {
			w.wait(w.writeBy)
			continue
		}
		w.put(p[:n])
		p = p[n:]
		written += n
	}
	return written, nil
}

func (w *wire) put(p []byte) {
	if due := w.link.send(len(p)).Add(w.latency()); due.After(w.due) {
		w.due = due
	}
	w.chunks = append(w.chunks, chunk{w.due, append([]byte(nil), p...)})
	w.size += len(p)
	w.change.Broadcast()
}

// set changes the wire and wakes waiting goroutines.
func (w *wire) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	w.change.Broadcast()
}

// wireConn is one end of a connection in memory.
type wireConn struct{ out, in *wire }

func (c *wireConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *wireConn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *wireConn) LocalAddr() net.Addr         { return wireAddr{} }
func (c *wireConn) RemoteAddr() net.Addr        { return wireAddr{} }

// Close lets what was written arrive, as a socket does.
func (c *wireConn) Close() error {
	c.out.set(func() { c.out.hung = true })
	c.in.set(func() { c.in.deaf, c.in.chunks, c.in.size = true, nil, 0 })
	return nil
}

// kill has both ends fail; what is under way is lost.
func (c *wireConn) kill() {
	for _, w := range []*wire{c.out, c.in} {
		w.set(func() { w.dead, w.chunks, w.size = true, nil, 0 })
	}
}

// hold has nothing arrive any more at either end, or again.
func (c *wireConn) hold(held bool) {
	for _, w := range []*wire{c.out, c.in} {
		w.set(func() { w.held = held })
	}
}

func (c *wireConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.in.set(func() { c.in.readBy = t })
	return nil
}

func (c *wireConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func() { c.out.writeBy = t })
	return nil
}

type wireAddr struct{}

func (wireAddr) Network() string { return "wire" }
func (wireAddr) String() string  { return "wire" }
