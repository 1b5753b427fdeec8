//go:build unix

package front

import (
	"context"
	"net"
	"sync"
)

// self is the owner of this process's names.
type self struct {
	https, http []net.Listener
	secure      chan net.Conn
	plain       chan net.Conn
	closed      chan struct{}
}

func newSelf() *self {
	return &self{secure: make(chan net.Conn, backlog), plain: make(chan net.Conn, backlog), closed: make(chan struct{})}
}

// listen makes the listeners, one for each socket of the newest ports.
func (s *self) listen(all sockets) {
	s.https, s.http = nil, nil
	for _, one := range all.newest() {
		l := &listener{addr: one.addr, conns: s.plain, over: s.closed, closed: make(chan struct{})}
		if one.secure {
			l.conns = s.secure
			s.https = append(s.https, l)
		} else {
			s.http = append(s.http, l)
		}
	}
}

// pass fails when backlog others wait.
func (s *self) pass(c connection) error {
	select {
	case s.queue(c) <- c.TCPConn:
		return nil
	default:
		return errBusy
	}
}

// take is pass for a connection that came from the front. It waits until ctx ends, so
// the front notices that this process is busy.
func (s *self) take(ctx context.Context, c connection) {
	select {
	case s.queue(c) <- c.TCPConn:
	case <-ctx.Done():
		c.Close()
	}
}

func (s *self) queue(c connection) chan<- net.Conn {
	if c.secure {
		return s.secure
	}
	return s.plain
}

// close ends the listeners, and connections that none has accepted.
func (s *self) close() {
	close(s.closed)
	for {
		select {
		case c := <-s.secure:
			c.Close()
		case c := <-s.plain:
			c.Close()
		default:
			return
		}
	}
}

// listener is a shared socket as this process sees it.
type listener struct {
	addr   net.Addr
	conns  <-chan net.Conn
	over   <-chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
	case <-l.over:
	}
	return nil, net.ErrClosed
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }
