package tunnel

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Lane is a connection that will carry a session's frames: TLS 1.3 over TCP,
// or a WebSocket in it.
type Lane struct {
	Conn net.Conn
	// Binding is the result of the function Binding for the TLS connection
	// below Conn. The handshake signs it, so that it is valid on this
	// connection alone.
	Binding []byte
	// TCP is the socket below, for its loss figures; nil when unknown.
	TCP *net.TCPConn
}

// from returns the address of the other end, which a WebSocket's does not contain.
func (l Lane) from() net.Addr {
	if l.TCP != nil {
		return l.TCP.RemoteAddr()
	}
	return l.Conn.RemoteAddr()
}

// batchBytes is the most that one write of a lane carries: one TLS record.
const batchBytes = 16 << 10

// readBuffer holds the headers of frames; their bytes are read past it. An idle lane
// holds nothing else, except for TLS.
const readBuffer = 256

// lane is a Lane that has joined a session. Its fields are guarded by the
// session's mutex.
type lane struct {
	session *Session
	number  uint16
	conn    net.Conn
	tcp     *net.TCPConn

	outbound
	inbound
	answers []wireFrame // frames that are not counted: pings and pongs
	writing bool        // a goroutine writes, or is about to

	owed   time.Time // since when the other end owes a sign of life; zero when it owes none
	heard  time.Time // when the last frame came
	pinged time.Time // when the last PING was sent
	probe  time.Time // when the lane is given up without a PONG; zero without Probe

	retiring time.Time // when it was asked to end; zero otherwise
	slow     bool      // because of its losses: to be replaced
	dead     bool
	loss     lossCount
}

// tcpOf returns the socket below a connection, for callers that did not name it.
func tcpOf(c net.Conn) *net.TCPConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	tcp, _ := c.(*net.TCPConn)
	return tcp
}

// usable reports whether frames may be given to the lane.
func (l *lane) usable() bool { return !l.dead && l.retiring.IsZero() }

// run reads until the lane ends, and tells the session why.
func (l *lane) run() {
	l.session.lost(l, l.read())
	// Where the session sends its reason, that goes out before the lane is closed:
	// closeWith gives the other end closeTimeout to read it.
	_, _ = io.Copy(io.Discard, l.conn)
	l.close()
}

// read takes frames off the lane until it ends.
func (l *lane) read() error {
	r := bufio.NewReaderSize(l.conn, readBuffer)
	for {
		frame, err := readFrame(r)
		if err == nil {
			err = l.session.take(l, frame)
			l.session.usage.account.Enforce()
		}
		if err != nil {
			return err
		}
	}
}

// batches are the buffers of writes.
var batches = sync.Pool{New: func() any { b := make([]byte, 0, batchBytes+overhead); return &b }}

// write writes the session's frames for the lane until none are left. A lane
// with nothing to write has neither a writing goroutine nor a buffer.
func (l *lane) write() {
	b := batches.Get().(*[]byte)
	defer batches.Put(b)
	for {
		if *b = l.session.fill(l, (*b)[:0]); len(*b) == 0 {
			return
		}
		if _, err := l.conn.Write(*b); err != nil {
			l.session.lost(l, err)
			return
		}
	}
}

// closeWith writes a last frame and closes the lane. A writer that is stuck is
// given up: the deadline ends both. Data from the other end is read until it
// closes, since closing before that could destroy the last frame (RFC 1122
// section 4.2.2.13).
func (l *lane) closeWith(last wireFrame) {
	_ = l.conn.SetDeadline(time.Now().Add(closeTimeout))
	if _, err := l.conn.Write(last.append(nil)); err != nil || l.tcp == nil || l.tcp.CloseWrite() != nil {
		l.close()
	}
}

// close closes the lane. The socket goes first: TLS and WebSocket would wait
// seconds to close in order on a path that takes nothing more, and the last frame
// has told the other end.
func (l *lane) close() {
	if l.tcp != nil {
		l.tcp.Close()
	}
	l.conn.Close()
}

// lost is called by a lane's goroutines when it has ended.
func (s *Session) lost(l *lane, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if broken, ok := errors.AsType[*ProtocolError](err); ok && !s.ended {
		s.endLocked(broken, &Refusal{CodeFailed, broken.Text})
	}
	s.dropLocked(l, err)
}

// dropLocked gives a lane up: its unacknowledged frames go over the others.
func (s *Session) dropLocked(l *lane, why error) {
	if l.dead {
		return
	}
	l.dead = true
	s.running.Go(l.close)
	s.sched.remove(l)
	if isEnd(why) {
		why = nil
	}
	if why != nil {
		s.log.Debug("lane lost", "lane", l.number, "error", why)
	}
	if len(s.sched.lanes) == 0 {
		s.laneless = time.Now()
		s.armLocked(ResumeTimeout)
	} else if why != nil {
		s.sendLocked(wireFrame{kind: kindGone, lane: uint64(l.number)})
	}
	s.sched.reassign(l)
	s.adjustLanesLocked()
}

// isEnd reports whether err says only that a connection has ended.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrDeadlineExceeded)
}

// joinLocked makes a connection a lane of the session.
func (s *Session) joinLocked(c Lane, number uint16) {
	l := &lane{session: s, number: number, conn: c.Conn, tcp: cmp.Or(c.TCP, tcpOf(c.Conn)), heard: time.Now()}
	s.sched.add(l)
	s.running.Go(l.run)
	s.armLocked(pingEvery)
}

// fill appends to b what l is to write next. Nothing ends the writing.
func (s *Session) fill(l *lane, b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.dead {
		idle := len(l.flights) == 0
		b = s.sched.fill(l, b, time.Now())
		if len(b) > 0 || l.ackNow {
			b = s.acks.append(b, l, s.sched.lanes)
		}
		if idle && len(l.flights) > 0 {
			s.armLocked(s.sched.path.interval())
		}
	}
	l.writing = len(b) > 0
	return b
}
