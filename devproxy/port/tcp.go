package port

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/front"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
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
				k.serve(client)
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

// serve passes one connection on. It outlives the port; Close of the Set ends it.
func (k *socket) serve(client conn) {
	ctx, cancel := context.WithCancel(k.set.ctx)
	defer cancel()
	server, ahead, err := k.connect(ctx)
	k.noteUpstream(err)
	if err != nil {
		reset(client)
		return
	}
	stop := context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer stop()
	if _, err := client.Write(ahead); err != nil {
		reset(server)
		return
	}
	join(client, server)
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
	if tcp, is := c.(*net.TCPConn); is {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

const (
	// probeFirst and probeLast are the pauses between two tries of an upstream that
	// refuses, as for HTTP.
	probeFirst = 20 * time.Millisecond
	probeLast  = 250 * time.Millisecond
)

// connect connects to the upstream. While that refuses, it tries again until Hold is over.
// It uses the port of the moment: a save may correct it. ahead are bytes that the server
// has sent already.
func (k *socket) connect(ctx context.Context) (server conn, ahead []byte, err error) {
	start := time.Now()
	for wait := probeFirst; ; wait = min(2*wait, probeLast) {
		p := k.port.Load()
		server, err = k.dial(ctx, p)
		if err == nil && !k.proven.Load() {
			ahead, err = stayOpen(ctx, server)
		}
		k.proven.Store(err == nil)
		if err == nil || !refused(err) || time.Since(start)+wait > p.Hold || !pause(ctx, wait) {
			return server, ahead, err
		}
	}
}

// acceptTime is how long a connection must stay open if none has before.
const acceptTime = 20 * time.Millisecond

// stayOpen returns an error for a connection that the other end closes at once, without a
// byte: a port forwarder (docker-proxy, ssh -L) does that for a server that is not there
// yet. Nothing was sent on it, so another can take its place. It returns the first byte of
// a server that speaks first.
func stayOpen(ctx context.Context, c conn) (ahead []byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	_ = c.SetReadDeadline(time.Now().Add(acceptTime))
	first := make([]byte, 1)
	n, err := c.Read(first)
	switch {
	case n > 0 || errors.Is(err, os.ErrDeadlineExceeded):
		return first[:n], c.SetReadDeadline(time.Time{})
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	reset(c)
	return nil, &forward.AbsentError{Text: c.RemoteAddr().String() + " closes every connection at once: what it forwards to is not running yet"}
}

// refused reports whether nothing accepts yet: no port, no socket, or a service that is not
// ready.
func refused(err error) bool { return neterror.Refused(err) || errors.Is(err, fs.ErrNotExist) }

// dial tries each address of the upstream once.
func (k *socket) dial(ctx context.Context, p *plan.Port) (conn, error) {
	failed := &dialError{}
	for _, m := range p.Members {
		for _, addr := range m.Addrs {
			c, err := k.dialOne(ctx, m, addr)
			if err == nil {
				return c, nil
			}
			failed.attempts = append(failed.attempts, forward.Attempt{Addr: addr, Err: err})
		}
	}
	return nil, failed
}

// dialError is an upstream of which no address accepts.
type dialError struct{ attempts []forward.Attempt }

// Error is "nothing listens on 127.0.0.1:5432 or [::1]:5432", or the error of the first
// address.
func (e *dialError) Error() string {
	if refused(e) {
		return forward.Unavailable{Attempts: e.attempts}.String()
	}
	return e.attempts[0].String()
}

// Unwrap returns the error of each address.
func (e *dialError) Unwrap() []error {
	var all []error
	for _, attempt := range e.attempts {
		all = append(all, attempt.Err)
	}
	return all
}

func (k *socket) dialOne(ctx context.Context, m plan.Member, addr string) (conn, error) {
	if m.Network == plan.NetworkNone {
		return nil, &forward.AbsentError{Text: addr}
	}
	if err := forward.CheckLinks(addr, m.Within); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := k.set.opts.Dial(ctx, m.Network, addr)
	if err != nil {
		return nil, err
	}
	server, is := c.(conn)
	if !is {
		_ = c.Close()
		return nil, errNoHalves
	}
	return server, nil
}

// errNoHalves is a mistake of the caller: Dial returns what can't end one direction.
var errNoHalves = errors.New("the connection can't be closed in one direction")
