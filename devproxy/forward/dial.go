package forward

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// dialTimeout bounds opening a connection, all addresses together. On
	// loopback the answer comes at once; this is for upstreams elsewhere.
	dialTimeout = 10 * time.Second
	// dialStagger is how long one address may keep silent before the next is
	// tried beside it, as in RFC 8305 section 5 (250 ms there).
	dialStagger = 200 * time.Millisecond
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// Attempt is one address that was tried in vain.
type Attempt struct {
	Addr string // "127.0.0.1:5173", or a socket's path
	Err  error
}

// Refused reports whether nothing listens at the address.
func (a Attempt) Refused() bool { return isRefusal(a.Err) }

// String is "127.0.0.1:5173: connection refused".
func (a Attempt) String() string { return a.Addr + ": " + cause(a.Err) }

// cause is the last and most exact word of a network error.
func cause(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case isRefusal(err) && !isMissing(err):
		return "connection refused"
	case isMissing(err):
		return "no such socket"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.As(err, &dns):
		return dns.Err
	case errors.As(err, &op):
		return strings.TrimPrefix(op.Err.Error(), "connect: ")
	}
	return withoutPackages(err.Error())
}

// packages are what Go's libraries put before their errors: their own names, and
// names of their parts.
var packages = []string{
	"net/http", "http", "http2", "net/textproto", "textproto", "tls", "crypto/tls", "x509",
	"HTTP/1.x transport connection broken", "readLoopPeekFailLocked", "remote error", "local error",
}

// withoutPackages is an error of a library in the words that are about the
// upstream.
func withoutPackages(text string) string {
	parts := strings.Split(text, ": ")
	last := len(parts) - 1
	kept := slices.DeleteFunc(parts[:last:last], func(part string) bool { return slices.Contains(packages, part) })
	return strings.Join(append(kept, parts[last]), ": ")
}

// dialError is a member that could not be connected to.
type dialError struct{ Attempts []Attempt }

func (e *dialError) Error() string { return joinAttempts(e.Attempts) }

// Unwrap gives the causes in the order of the attempts.
func (e *dialError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

func joinAttempts(attempts []Attempt) string {
	texts := make([]string, len(attempts))
	for i, a := range attempts {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// asRefused finds the dialError of a member where nothing listens: each
// address refused, accepted and closed at once, or does not exist on this machine (no IPv6), and at least
// one refused.
func asRefused(err error) (*dialError, bool) {
	var failed *dialError
	if !errors.As(err, &failed) {
		return nil, false
	}
	refused := false
	for _, a := range failed.Attempts {
		switch {
		case isRefusal(a.Err), isReset(a.Err), errors.Is(a.Err, errClosedAtOnce):
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

// connect tries the address that answered last first.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := d.stays(); err != nil {
		return nil, &dialError{[]Attempt{{d.addrs[0], err}}}
	}
	if len(d.addrs) == 1 {
		conn, err := d.dial(ctx, d.network, d.addrs[0])
		if err != nil {
			return nil, &dialError{[]Attempt{{d.addrs[0], err}}}
		}
		return conn, nil
	}
	return d.race(ctx, d.order())
}

// errLeads is the error of a socket behind a link that has changed since the
// Proxyfile was read: nobody has agreed to where it leads now.
var errLeads = errors.New("it leads to another place than when the Proxyfile was read; save the Proxyfile to have it looked at again")

// stays is nil unless the links of a unix socket lead out of where they led when
// consent was asked for. A socket that is not there is for the dial to tell.
func (d *dialer) stays() error {
	if d.within == "" {
		return nil
	}
	real, err := filepath.EvalSymlinks(d.addrs[0])
	if err != nil || plan.Within(real, d.within) {
		return nil
	}
	return errLeads
}

// answered is the address that answered last.
func (d *dialer) answered() string { return d.addrs[d.last.Load()] }

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

type dialled struct {
	index int
	conn  net.Conn
	err   error
}

// race starts the next address when the one before failed or stays silent. It
// returns once one answered or all failed; the losers end with ctx, and a
// connection that comes too late is closed.
func (d *dialer) race(ctx context.Context, order []int) (net.Conn, error) {
	results := make(chan dialled, len(order))
	start := func(i int) {
		go func() {
			conn, err := d.dial(ctx, d.network, d.addrs[i])
			results <- dialled{i, conn, err}
		}()
	}
	stagger := time.NewTimer(dialStagger)
	defer stagger.Stop()

	errs := make([]error, len(d.addrs))
	start(order[0])
	started, ended := 1, 0
	for {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				d.last.Store(int32(r.index))
				go discard(results, started-ended)
				return r.conn, nil
			}
			errs[r.index] = r.err
			if ended == len(order) {
				return nil, d.failure(errs)
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

// discard closes the connections that lost the race. Their context is
// cancelled, so that the wait is short.
func discard(results <-chan dialled, n int) {
	for range n {
		if r := <-results; r.conn != nil {
			r.conn.Close()
		}
	}
}

func (d *dialer) failure(errs []error) error {
	attempts := make([]Attempt, len(errs))
	for i, err := range errs {
		attempts[i] = Attempt{d.addrs[i], err}
	}
	return &dialError{attempts}
}
