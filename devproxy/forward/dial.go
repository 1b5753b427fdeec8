package forward

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

const (
	// dialTimeout bounds opening a connection, all addresses together. On loopback
	// the answer comes at once; this is for upstreams elsewhere.
	dialTimeout = 10 * time.Second
	// dialStagger is how long one address may be silent before the next is tried as
	// well, as in RFC 8305 section 5 (250 ms there).
	dialStagger = 200 * time.Millisecond
	// redialFirst and redialLast are how long a connection to a loopback address may
	// take before it is dialled again; the time doubles. Loopback answers at once,
	// unless the server's backlog is full: then the system drops the connection
	// request, and TCP repeats it only after 1 s, 2 s and so on.
	redialFirst = 50 * time.Millisecond
	redialLast  = 200 * time.Millisecond
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Attempt is one address that could not be connected to.
type Attempt struct {
	Addr string // "127.0.0.1:5173", or a socket's path
	Err  error
}

// Refused reports whether nothing listens at the address.
func (a Attempt) Refused() bool { return isRefusal(a.Err) }

// String is "127.0.0.1:5173: connection refused".
func (a Attempt) String() string { return a.Addr + ": " + cause(a.Err) }

// dialError is a member that could not be connected to.
type dialError struct{ Attempts []Attempt }

func (e *dialError) Error() string {
	texts := make([]string, len(e.Attempts))
	for i, a := range e.Attempts {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// Unwrap returns the errors in the order of the attempts.
func (e *dialError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

// asRefused finds the dialError of a member where nothing listens: each address
// refused, accepted and closed at once, or does not exist on this machine (no
// IPv6), and at least one refused.
func asRefused(err error) (*dialError, bool) {
	failed, ok := errors.AsType[*dialError](err)
	if !ok {
		return nil, false
	}
	refused := false
	for _, a := range failed.Attempts {
		switch {
		case isRefusal(a.Err), neterror.Broken(a.Err), errors.Is(a.Err, errClosedAtOnce):
			refused = true
		case !isNoAddress(a.Err):
			return nil, false
		}
	}
	return failed, refused
}

// dialer connects to the first of its addresses that answers.
type dialer struct {
	dial    dialFunc
	network string
	addrs   []string
	within  string       // the folder that a unix socket must not leave; empty allows any
	last    atomic.Int32 // index of the address that answered last
}

// connect tries the address that answered last first. It starts the next one when
// one has failed or is silent, and returns once one has answered or all have failed.
// The others end with ctx, and a connection that comes too late is closed.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := CheckLinks(d.addrs[0], d.within); err != nil {
		return nil, &dialError{[]Attempt{{d.addrs[0], err}}}
	}
	type result struct {
		index int
		conn  net.Conn
		err   error
	}
	results := make(chan result, len(d.addrs))
	order := d.order()
	start := func(i int) {
		go func() {
			conn, err := d.dialAddr(ctx, d.addrs[i])
			results <- result{i, conn, err}
		}()
	}
	stagger := time.NewTimer(dialStagger)
	defer stagger.Stop()

	attempts := make([]Attempt, len(d.addrs))
	start(order[0])
	started, ended := 1, 0
	for {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				d.last.Store(int32(r.index))
				if unfinished := started - ended; unfinished > 0 {
					go func() { // cancel ends them soon
						for range unfinished {
							if r := <-results; r.conn != nil {
								r.conn.Close()
							}
						}
					}()
				}
				return r.conn, nil
			}
			attempts[r.index] = Attempt{d.addrs[r.index], r.err}
			if ended == len(order) {
				return nil, &dialError{attempts}
			}
			if ended < started {
				continue
			}
		case <-stagger.C:
		}
		if started < len(order) {
			start(order[started])
			started++
			stagger.Reset(dialStagger)
		}
	}
}

// dialAddr connects to one address. It repeats a dial to loopback that gets no answer.
func (d *dialer) dialAddr(ctx context.Context, addr string) (net.Conn, error) {
	if d.network == plan.NetworkNone {
		return nil, &AbsentError{addr}
	}
	if !isLoopback(addr) {
		return d.dial(ctx, d.network, addr)
	}
	for limit := redialFirst; ; limit = min(2*limit, redialLast) {
		once, cancel := context.WithTimeout(ctx, limit)
		conn, err := d.dial(once, d.network, addr)
		cancel()
		if !isTimeout(err) || ctx.Err() != nil {
			return conn, err
		}
	}
}

// AbsentError is the error of a connection to what can't be connected to yet: containers
// that are not running, or what is behind a port forwarder. It counts as a refused
// connection, so it is tried again.
type AbsentError struct{ Text string }

func (e *AbsentError) Error() string { return e.Text }

// NotReady tells the error apart from that of a port on which nothing listens.
func (e *AbsentError) NotReady() bool { return true }

// Unwrap returns the error of a refused connection.
func (e *AbsentError) Unwrap() error { return neterror.ErrRefused }

// errLinkChanged is the error of a socket behind a link that has changed since the
// Proxyfile was read: no one has agreed to where it leads now.
var errLinkChanged = errors.New("it leads to a different place than when the Proxyfile was read; save the Proxyfile to check it again")

// CheckLinks returns an error if the links of a unix socket lead out of within, the folder
// where they led when consent was given; an empty one allows any. A missing socket is left
// to the dial.
func CheckLinks(socket, within string) error {
	if within == "" {
		return nil
	}
	real, err := filepath.EvalSymlinks(socket)
	if err != nil || plan.Within(real, within) {
		return nil
	}
	return errLinkChanged
}

// order is the indexes of addrs, the one that answered last in front.
func (d *dialer) order() []int {
	last := int(d.last.Load())
	order := []int{last}
	for i := range d.addrs {
		if i != last {
			order = append(order, i)
		}
	}
	return order
}

// A port forwarder (docker-proxy, kubectl port-forward, ssh -L) accepts connections
// for a server that is not there yet, and closes them at once. That is like a
// refusal: requests are held until the server is there. A server that fails while
// it works on a request differs: something was sent on its connection.

const (
	// acceptTime is how long a new connection must stay open before it is used,
	// where that is in doubt. If one was closed later than that, twice as long.
	acceptTime = 20 * time.Millisecond
	// maxAcceptTime bounds that: a forwarder to another network needs a round trip
	// to learn that nothing is there.
	maxAcceptTime = 500 * time.Millisecond
)

// errClosedAtOnce is the error of a connection that was accepted, and closed before
// anything was sent on it.
var errClosedAtOnce = errors.New("accepted the connection and closed it at once")

// acceptance records how a member's listener treats new connections.
type acceptance struct {
	answered atomic.Bool  // something has answered since the listener last refused
	doubt    atomic.Int64 // how long each new connection must stay open; 0 if that is not in doubt
}

// noteAnswer notes that an answer has come.
func (a *acceptance) noteAnswer() {
	if !a.answered.Load() || a.doubt.Load() != 0 {
		a.answered.Store(true)
		a.doubt.Store(0)
	}
}

// noteRefusal notes that the listener has refused a connection.
func (a *acceptance) noteRefusal() { a.answered.Store(false) }

// doubtAfter is how long a connection must stay open after another was closed at
// the age of lived.
func doubtAfter(lived time.Duration) time.Duration {
	return min(max(2*lived, acceptTime), maxAcceptTime)
}

// confirm returns a new connection once it has stayed open for as long as the
// attempt needs. A request that may be sent again is sent at once: when it is lost
// again and again, its last connection is confirmed. Any other is sent at once only
// if the listener has answered before. A nil attempt is a probe.
func (a *acceptance) confirm(ctx context.Context, c net.Conn, by *attempt) (net.Conn, error) {
	wait := time.Duration(a.doubt.Load())
	if by != nil {
		wait = max(wait, by.doubt)
		if !a.answered.Load() && !isIdempotent(by.f.r.Method) {
			wait = max(wait, acceptTime)
		}
	}
	if wait == 0 {
		return c, nil
	}
	start := time.Now()
	open, err := stayOpen(ctx, c, wait)
	switch {
	case err == nil:
		a.doubt.Store(0)
		return open, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		a.answered.Store(false)
		a.doubt.Store(int64(doubtAfter(time.Since(start))))
		err = errClosedAtOnce
	}
	_ = c.Close()
	return nil, err
}

// stayOpen waits for d, or until the other side closes c or sends something.
func stayOpen(ctx context.Context, c net.Conn, d time.Duration) (net.Conn, error) {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	first := make([]byte, 1)
	n, err := c.Read(first)
	switch {
	case !stop():
		return nil, ctx.Err()
	case n > 0:
		c = &aheadConn{c, first}
	case !isTimeout(err):
		return nil, err
	}
	return c, c.SetReadDeadline(time.Time{})
}
