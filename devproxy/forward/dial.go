package forward

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// dialTimeout bounds connecting. Loopback answers at once; this is for
	// upstreams elsewhere.
	dialTimeout = 10 * time.Second
	// dialStagger is how long one address may stay silent before the next is
	// tried beside it (RFC 8305 section 5 recommends 250 ms).
	dialStagger = 250 * time.Millisecond
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer connects to the first of a member's addresses that answers, beginning
// with the one that answered last.
type dialer struct {
	network string
	addrs   []string
	dial    DialFunc

	last atomic.Int32 // index of the address that answered last
	done func(error)  // told of every outcome: nil or a *dialError
}

// dialError says that no address of a member answered.
type dialError struct{ attempts []Attempt }

func (e *dialError) Error() string {
	texts := make([]string, len(e.attempts))
	for i, a := range e.attempts {
		texts[i] = a.Addr + ": " + a.Err.Error()
	}
	return "cannot connect: " + strings.Join(texts, "; ")
}

func (e *dialError) Unwrap() []error {
	errs := make([]error, len(e.attempts))
	for i, a := range e.attempts {
		errs[i] = a.Err
	}
	return errs
}

// refused reports whether nothing listens, as opposed to something being in
// the way: at least one address refused, and the others did so too or do not
// exist on this machine.
func (e *dialError) refused() bool {
	refused := false
	for _, a := range e.attempts {
		switch {
		case isRefused(a.Err):
			refused = true
		case !isAbsent(a.Err):
			return false
		}
	}
	return refused
}

func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errRefused) ||
		errors.Is(err, syscall.ENOENT) // a unix socket that is not there yet
}

// isAbsent: a machine without IPv6 has no ::1.
func isAbsent(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// outcome is what came of dialling one address.
type outcome struct {
	index int
	conn  net.Conn
	err   error
}

// connect dials the addresses one after the other, the next one as soon as one
// fails or stays silent for dialStagger.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	outcomes := make(chan outcome, len(d.addrs))
	order := d.order()
	pending, next := 0, 0
	start := func() {
		go dialOne(ctx, d, order[next], outcomes)
		next++
		pending++
	}
	failed := &dialError{}
	start()
	stagger := time.NewTimer(dialStagger)
	defer stagger.Stop()
	for {
		select {
		case o := <-outcomes:
			pending--
			if o.err == nil {
				go closeLate(outcomes, pending)
				d.last.Store(int32(o.index))
				d.done(nil)
				return o.conn, nil
			}
			failed.attempts = append(failed.attempts, Attempt{d.addrs[o.index], o.err})
			if next < len(order) {
				start()
			} else if pending == 0 {
				d.done(failed)
				return nil, failed
			}
		case <-stagger.C:
			if next < len(order) {
				start()
				stagger.Reset(dialStagger)
			}
		}
	}
}

func dialOne(ctx context.Context, d *dialer, index int, outcomes chan<- outcome) {
	conn, err := d.dial(ctx, d.network, d.addrs[index])
	outcomes <- outcome{index, conn, err}
}

// closeLate closes the connections that lost the race. Their dials end at once,
// since the winner's return cancels them.
func closeLate(outcomes <-chan outcome, pending int) {
	for range pending {
		if late := <-outcomes; late.err == nil {
			_ = late.conn.Close()
		}
	}
}

// order is the indexes of the addresses, the one that answered last first.
func (d *dialer) order() []int {
	first := int(d.last.Load())
	order := []int{first}
	for i := range d.addrs {
		if i != first {
			order = append(order, i)
		}
	}
	return order
}
