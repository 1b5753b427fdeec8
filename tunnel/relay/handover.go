package relay

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// A process that was replaced may still get requests on open connections. It has
// no session for them, so it hands each to its successor, on a connection of a
// private socket:
//
//	request   2 bytes   length of the head, network byte order
//	          …         the head of a stream (tunnel.Visitor)
//	          …         what is written on the stream
//	reply     1 byte    1: a stream is open; 0: no stream
//	          1 byte    without a stream, 2 if no key has the name; else ignored
//	          2 bytes   length of the zone
//	          …         the zone that the share was granted
//	          …         what is read from the stream

// handoverTimeout bounds the head of a request that is handed over, and the reply
// to it.
const handoverTimeout = 2 * waitForAgent

// Why the successor has no stream for a request.
var (
	errSuccessorOffline = fmt.Errorf("the relay's successor: %w", errAsleep)
	errSuccessorUnknown = fmt.Errorf("the relay's successor: %w", errUnknownName)
)

// unknownName is the second byte of a reply without a stream.
const unknownName = 2

// openAtSuccessor opens a stream through the successor.
func (r *Relay) openAtSuccessor(ctx context.Context, dial dialFunc, head []byte) (requestStream, error) {
	c, err := dial(ctx)
	if err != nil {
		return requestStream{}, fmt.Errorf("cannot connect to the relay's successor: %w", err)
	}
	claimed, err := requestSuccessor(c, head)
	if err != nil {
		c.Close()
		return requestStream{}, err
	}
	return requestStream{agentConn: successorConn{c.(*net.UnixConn)}, claimed: claimed, slot: uncounted()}, nil
}

func requestSuccessor(c net.Conn, head []byte) (*claimed, error) {
	if err := c.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
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
	case reply[0] == 0 && reply[1] == unknownName:
		return nil, errSuccessorUnknown
	case reply[0] == 0:
		return nil, errSuccessorOffline
	}
	return &claimed{zone: string(zone)}, c.SetDeadline(time.Time{})
}

// successorConn is a stream through the successor.
type successorConn struct{ *net.UnixConn }

// Reset implements agentConn.
func (c successorConn) Reset() { _ = c.Close() }

// ServeHandover serves the requests that the process which this one replaces hands
// over, until the relay stops or ctx ends. ln is a unix socket that other programs
// cannot connect to.
func (r *Relay) ServeHandover(ctx context.Context, ln net.Listener) error {
	return r.accept(ctx, ln, r.life, func(c net.Conn) {
		r.group.Go(func() {
			defer c.Close()
			defer context.AfterFunc(r.life, func() { c.Close() })()
			if err := r.serveHandedOver(c.(*net.UnixConn)); err != nil {
				r.log.Debug("request of the predecessor failed", "error", err)
			}
		})
	})
}

// serveHandedOver serves one request of the predecessor.
func (r *Relay) serveHandedOver(c *net.UnixConn) error {
	if err := c.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
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
	st, err := r.openStream(r.life, at.name, visitor.Addr.Addr(), head, false)
	if err != nil {
		reply := []byte{0, 0, 0, 0}
		if errors.Is(err, errUnknownName) {
			reply[1] = unknownName
		}
		_, _ = c.Write(reply) // the predecessor answers the visitor
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
	return append(binary.BigEndian.AppendUint16(to, uint16(len(b))), b...)
}

// readBytes16 reads what appendBytes16 wrote, which is no longer than a head.
func readBytes16(from io.Reader) ([]byte, error) {
	var size uint16
	if err := binary.Read(from, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	if size > tunnel.MaxHead {
		return nil, fmt.Errorf("the head of a request that was handed over has %d bytes", size)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(from, b)
	return b, err
}
