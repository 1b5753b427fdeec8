package port

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// upstream is the server that the clients of a block reach: those of this machine, or the
// visitors of a share.
type upstream struct {
	set  *Set
	port atomic.Pointer[plan.Port]
	// note is told why the server did not accept; nil means that it did.
	note func(err error)
	// proven is true once a connection to the server has stayed open, until one is refused.
	proven atomic.Bool
	// preferred is the index of the address that new flows use.
	preferred atomic.Int64
}

// use replaces the port, and reports whether that leads to another server than before. A
// new server is not proven.
func (u *upstream) use(p *plan.Port) (moved bool) {
	if was := u.port.Swap(p); was == nil || reflect.DeepEqual(was.Members, p.Members) {
		return false
	}
	u.proven.Store(false)
	return true
}

// serve passes one connection on, until it has ended or ctx ends it.
func (u *upstream) serve(ctx context.Context, client conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, ahead, err := u.connect(ctx)
	u.note(err)
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

const (
	// probeFirst and probeLast are the pauses between two tries of an upstream that
	// refuses, as for HTTP.
	probeFirst = 20 * time.Millisecond
	probeLast  = 250 * time.Millisecond
)

// connect connects to the upstream. While that refuses, it tries again until Hold is over.
// It uses the port of the moment: a save may correct it. ahead are bytes that the server
// has sent already.
func (u *upstream) connect(ctx context.Context) (server conn, ahead []byte, err error) {
	start := time.Now()
	for wait := probeFirst; ; wait = min(2*wait, probeLast) {
		p := u.port.Load()
		server, err = u.dial(ctx, p)
		if err == nil && !u.proven.Load() {
			ahead, err = stayOpen(ctx, server)
		}
		u.proven.Store(err == nil)
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
func (u *upstream) dial(ctx context.Context, p *plan.Port) (conn, error) {
	failed := &dialError{}
	for _, m := range p.Members {
		for _, addr := range m.Addrs {
			c, err := u.dialOne(ctx, m, addr)
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

func (u *upstream) dialOne(ctx context.Context, m plan.Member, addr string) (conn, error) {
	if m.Network == plan.NetworkNone {
		return nil, &forward.AbsentError{Text: addr}
	}
	if err := forward.CheckLinks(addr, m.Within); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := u.set.opts.Dial(ctx, m.Network, addr)
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
