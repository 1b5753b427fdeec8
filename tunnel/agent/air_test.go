package agent

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// air is a network without wires, whose time is a test's.
type air struct {
	silent atomic.Bool  // nothing gets through, and no one says so
	moved  atomic.Bool  // the machine has another address
	jumped atomic.Int64 // how far the wall clock went while nothing else did

	mu       sync.Mutex
	listener *airListener // nil: every dial is refused
	conns    []net.Conn
}

// airListener is the one end in the air that listens.
type airListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (a *air) listen() *airListener {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listener = &airListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	return a.listener
}

// crash breaks every connection, like the end of the process that listens.
func (a *air) crash() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.listener.Close()
	for _, c := range a.conns {
		c.Close()
	}
	a.conns = nil
}

func (l *airListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *airListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *airListener) Addr() net.Addr { return &net.TCPAddr{Port: 443} }

func (a *air) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if a.silent.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	listener, near, far := a.pair()
	if listener == nil {
		return nil, neterror.ErrRefused
	}
	select {
	case listener.conns <- far:
		return near, nil
	case <-listener.closed:
		return nil, neterror.ErrRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *air) pair() (*airListener, net.Conn, net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	there, back := newWire(), newWire()
	near, far := airConn{a, back, there}, airConn{a, there, back}
	a.conns = append(a.conns, near, far)
	return a.listener, near, far
}

func (a *air) machine() machine {
	return machine{
		now: func() time.Time { return time.Now().Round(0).Add(time.Duration(a.jumped.Load())) },
		addrs: func() ([]net.Addr, error) {
			ip := net.IPv4(192, 0, 2, 1)
			if a.moved.Load() {
				ip = net.IPv4(192, 0, 2, 2)
			}
			return []net.Addr{&net.IPNet{IP: ip}, &net.IPNet{IP: net.IPv4(127, 0, 0, 1)}}, nil
		},
	}
}

// airConn is one end of two wires, which hold any amount: as TCP does for the
// little that goes in these tests, and as a net.Pipe does not.
type airConn struct {
	air     *air
	in, out *wire
}

func (c airConn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write loses what is written while the air is silent.
func (c airConn) Write(b []byte) (int, error) {
	if c.air.silent.Load() {
		return len(b), nil
	}
	return c.out.write(b)
}

func (c airConn) Close() error {
	c.in.end()
	c.out.end()
	return nil
}

func (c airConn) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (c airConn) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (c airConn) SetWriteDeadline(t time.Time) error { return nil }
func (c airConn) SetReadDeadline(t time.Time) error  { return c.SetDeadline(t) }

func (c airConn) SetDeadline(t time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.late = t
	c.in.news.Broadcast()
	if !t.IsZero() {
		time.AfterFunc(time.Until(t), c.in.news.Broadcast)
	}
	return nil
}

// wire is one direction.
type wire struct {
	mu   sync.Mutex
	news sync.Cond
	data []byte
	over bool
	late time.Time
}

func newWire() *wire {
	w := &wire{}
	w.news.L = &w.mu
	return w
}

func (w *wire) read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case !w.late.IsZero() && !time.Now().Before(w.late):
			return 0, os.ErrDeadlineExceeded
		case len(w.data) > 0:
			n := copy(b, w.data)
			w.data = w.data[n:]
			return n, nil
		case w.over:
			return 0, io.EOF
		}
		w.news.Wait()
	}
}

func (w *wire) write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return 0, net.ErrClosed
	}
	w.data = append(w.data, b...)
	w.news.Broadcast()
	return len(b), nil
}

func (w *wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.news.Broadcast()
}
