package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// A process that was replaced may still get requests on connections that are
// open. It has no session for them, so it carries each to its successor on a
// connection of a private socket:
//
//	request   2 bytes   length of the head, network byte order
//	          …         the head of a stream (tunnel.Visitor)
//	          …         what is written on the stream
//	reply     1 byte    1: a stream is open; 0: there is none
//	          1 byte    0, or 1 of older versions; not read
//	          2 bytes   length of the zone
//	          …         the zone that the share was granted
//	          …         what is read from the stream

// lateTimeout bounds the head of a late request, and the reply to it.
const lateTimeout = 2 * waitForAgent

// errLate is a late request that the successor has no session for.
var errLate = fmt.Errorf("the relay's successor: %w", errAsleep)

// openLate opens a stream by way of the successor.
func (r *Relay) openLate(ctx context.Context, dial func(context.Context) (net.Conn, error), head []byte) (opened, error) {
	c, err := dial(ctx)
	if err != nil {
		return opened{}, fmt.Errorf("cannot reach the relay's successor: %w", err)
	}
	claimed, err := askLate(c, head)
	if err != nil {
		c.Close()
		return opened{}, err
	}
	return opened{agentConn: latePipe{c.(*net.UnixConn)}, claimed: claimed}, nil
}

func askLate(c net.Conn, head []byte) (*claimed, error) {
	if err := c.SetDeadline(time.Now().Add(lateTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.Write(appendBytes16(nil, head)); err != nil {
		return nil, err
	}
	var reply [2]byte
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return nil, err
	}
	zone, err := readBytes16(c)
	switch {
	case err != nil:
		return nil, err
	case reply[0] == 0:
		return nil, errLate
	}
	return &claimed{zone: string(zone)}, c.SetDeadline(time.Time{})
}

// latePipe is a late stream, seen from the process that was replaced.
type latePipe struct{ *net.UnixConn }

// Reset implements pipe.
func (p latePipe) Reset() { _ = p.Close() }

// ServeHandover takes the late requests of the process that this one replaces,
// until the relay stops or ctx ends. ln is a unix socket that nobody else can
// reach.
func (r *Relay) ServeHandover(ctx context.Context, ln net.Listener) error {
	return r.accept(ctx, ln, private, func(c net.Conn) {
		r.group.Go(func() {
			defer c.Close()
			defer context.AfterFunc(r.life, func() { c.Close() })()
			if err := r.late(c.(*net.UnixConn)); err != nil {
				r.log.Debug("late request failed", "error", err)
			}
		})
	})
}

// late carries one late request.
func (r *Relay) late(c *net.UnixConn) error {
	if err := c.SetDeadline(time.Now().Add(lateTimeout)); err != nil {
		return err
	}
	from := bufio.NewReader(c)
	head, err := readBytes16(from)
	if err != nil {
		return err
	}
	visitor, err := tunnel.ParseVisitor(head)
	if err != nil {
		return err
	}
	at, _ := readAuthority(visitor.Host, visitor.Scheme)
	st, err := r.open(r.life, at.name, visitor.Addr.Addr(), head, false)
	if err != nil {
		_, _ = c.Write([]byte{0, 0, 0, 0}) // the predecessor answers for itself
		return err
	}
	defer st.close(false)
	st.slot.onEviction(st.Reset)
	reply := appendBytes16([]byte{1, 0}, []byte(st.claimed.zone))
	if _, err := c.Write(reply); err != nil {
		return err
	}
	joined := splice.New(
		splice.Peer{Conn: c, From: activityReader{from, st.slot}},
		splice.Peer{Conn: resetOnClose{st.agentConn}, From: activityReader{st.agentConn, st.slot}}, nil)
	err = c.SetDeadline(time.Time{})
	_, _, copyErr := joined.Run(func() {})
	return errors.Join(err, copyErr)
}

func appendBytes16(to, b []byte) []byte {
	return append(append(to, byte(len(b)>>8), byte(len(b))), b...)
}

// readBytes16 reads what appendBytes16 wrote; a head is the longest there is.
func readBytes16(from io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return nil, err
	}
	n := int(size[0])<<8 | int(size[1])
	if n > tunnel.MaxHead {
		return nil, fmt.Errorf("a late request's head of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(from, b)
	return b, err
}
