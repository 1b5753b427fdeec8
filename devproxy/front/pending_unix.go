//go:build unix

package front

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxPending is how many connections may wait for their first bytes, or for a
	// process that is to take them. One more ends the oldest.
	maxPending = 1024
	// helloTimeout is how long a connection may take to send its first bytes: as
	// long as its TLS handshake may take.
	helloTimeout = 10 * time.Second
	// The pauses between two peeks at first bytes that arrive in pieces, and between
	// two attempts to pass a connection on. They double: 16 KiB that are sent byte by
	// byte must not be looked at ten thousand times.
	minPause = time.Millisecond
	maxPause = 250 * time.Millisecond
)

// pending is the connections that wait, the oldest first.
type pending struct {
	mu  sync.Mutex
	all []connection
	// interrupted is set when no goroutine may start that waits, and taken when
	// connections come too late for the next front.
	interrupted, taken bool
}

// add adds a connection and starts waiting for it. It closes the oldest if there are
// too many.
func (p *pending) add(c connection, start func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken {
		c.Close()
		return
	}
	if !p.interrupted {
		start()
	}
	if len(p.all) == maxPending {
		p.closeOldest()
	}
	p.all = append(p.all, c)
}

// closeOldest closes the connection that waits longest; false if none waits. Its
// goroutine notices.
func (p *pending) closeOldest() bool {
	if len(p.all) == 0 {
		return false
	}
	p.all[0].Close()
	p.all = slices.Delete(p.all, 0, 1)
	return true
}

// free closes the oldest connection, to get its descriptor.
func (p *pending) free() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.interrupted && p.closeOldest()
}

// errGone is the error of a connection that no longer waits: it was closed, to
// make room for others.
var errGone = errors.New("the connection was closed")

// pass calls pass, and removes the connection if that succeeds. From then on it belongs
// to the owner of its name, and interrupt must not touch it.
func (p *pending) pass(c connection, pass func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.all, c)
	if i < 0 {
		return errGone
	}
	if p.interrupted {
		return errOver
	}
	if err := pass(); err != nil {
		return err
	}
	p.all = slices.Delete(p.all, i, i+1)
	return nil
}

// drop closes a connection.
func (p *pending) drop(c connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Close()
	p.all = slices.DeleteFunc(p.all, func(other connection) bool { return other == c })
}

// interrupt ends the reading of first bytes. Connections that are added later are for
// the next front.
func (p *pending) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = true
	for _, c := range p.all {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// take removes all, for the last time.
func (p *pending) take() []connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all, p.taken = nil, true
	for _, c := range all {
		_ = c.SetReadDeadline(time.Time{})
	}
	return all
}

// errOver is the error of waiting until the role has ended.
var errOver = errors.New("the front ends")

// readName waits for a connection's first bytes.
func readName(c connection, over <-chan struct{}) (string, error) {
	deadline := time.Now().Add(helloTimeout)
	if err := waitForData(c, deadline, over); err != nil {
		if isClosed(over) {
			return "", errOver
		}
		return "", err
	}
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		name, known, err := peek(c)
		if known || err != nil {
			return name, err
		}
		if time.Now().After(deadline) {
			return "", os.ErrDeadlineExceeded
		}
		select {
		case <-over:
			return "", errOver
		case <-time.After(pause):
		}
	}
}

func isClosed(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// errLeft is the error of a client that has closed its connection.
var errLeft = errors.New("the client left")

// peekBuffers are for peek.
var peekBuffers = sync.Pool{New: func() any { return new([maxPeek]byte) }}

// peek looks for the name in what has arrived of a connection, without reading it.
func peek(c connection) (name string, known bool, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return "", false, err
	}
	buffer := peekBuffers.Get().(*[maxPeek]byte)
	defer peekBuffers.Put(buffer)
	var n int
	var failed error
	if err := raw.Control(func(fd uintptr) { n, failed = peekAt(fd, buffer[:]) }); err != nil {
		return "", false, err
	}
	switch {
	case errors.Is(failed, unix.EAGAIN):
		return "", false, nil
	case failed != nil:
		return "", false, fmt.Errorf("cannot look at the first bytes of a connection: %w", failed)
	case n == 0:
		return "", false, errLeft
	}
	name, known = nameIn(buffer[:n])
	return name, known, nil
}

func peekAt(fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(int(fd), p, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// waitForData returns when a byte can be read, or the connection was closed.
func waitForData(c connection, deadline time.Time, over <-chan struct{}) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return err
	}
	if isClosed(over) { // and interrupt came too early
		return errOver
	}
	var one [1]byte
	if err := raw.Read(func(fd uintptr) bool {
		_, err := peekAt(fd, one[:])
		return !errors.Is(err, unix.EAGAIN)
	}); err != nil {
		return err
	}
	return c.SetReadDeadline(time.Time{})
}
