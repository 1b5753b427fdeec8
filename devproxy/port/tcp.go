package port

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/front"
	"github.com/devproxy/devproxy/devproxy/listen"
)

// bindTCP listens on addrs. Without a problem, serve are the loops that accept.
func (k *socket) bindTCP(addrs []netip.AddrPort) (bound []closer, serve []func(), problem, fix string) {
	listeners, err := listen.Bind(k.ctx, addrs)
	if err != nil {
		if failed, is := errors.AsType[*listen.BindError](err); is {
			fix = failed.Fix
		}
		return nil, nil, err.Error(), fix
	}
	for _, listener := range listeners {
		bound = append(bound, listener)
		serve = append(serve, func() { k.accept(listener) })
	}
	return bound, serve, "", ""
}

const (
	// An accept that fails without free descriptors works again once some are closed: the
	// loop pauses, longer each time, as net/http does.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// accept accepts until the listener is closed.
func (k *socket) accept(listener net.Listener) {
	wait := minAcceptPause
	for {
		c, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if !pause(k.ctx, wait) {
				return
			}
			wait = min(2*wait, maxAcceptPause)
			continue
		}
		wait = minAcceptPause
		if client, is := c.(conn); is && front.Local(listener.Addr(), c.RemoteAddr()) && k.takeConn() {
			k.set.wg.Go(func() {
				defer k.leaveConn()
				k.serve(k.set.ctx, client) // it outlives the port
			})
			continue
		}
		reset(c)
	}
}

// takeConn counts a connection, unless there are too many.
func (k *socket) takeConn() bool {
	if k.open.Add(1) > MaxConns {
		k.open.Add(-1)
		return false
	}
	if k.set.conns.Add(1) > maxAllConns {
		k.leaveConn()
		return false
	}
	return true
}

func (k *socket) leaveConn() {
	k.open.Add(-1)
	k.set.conns.Add(-1)
}

// conn is a connection whose directions end one by one.
type conn interface {
	net.Conn
	CloseWrite() error
}

// join copies both directions until both have ended. The end of one is passed on as the
// end of that direction, and a reset as a reset of both. A reader that stalls stalls its
// writer: nothing is held but what the system holds of sockets.
func join(client, server conn) {
	var inward sync.WaitGroup
	inward.Go(func() { pass(server, client) })
	pass(client, server)
	inward.Wait()
	_ = client.Close()
	_ = server.Close()
}

// pass copies one direction. On Linux io.Copy splices.
func pass(to, from conn) {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		reset(to)
		reset(from)
	}
}

// reset closes a connection so that its peer sees a failure and not an end.
func reset(c net.Conn) {
	switch c := c.(type) {
	case *net.TCPConn:
		_ = c.SetLinger(0)
	case interface{ Reset() }: // a stream of a tunnel
		c.Reset()
		return
	}
	_ = c.Close()
}
