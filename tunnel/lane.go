package tunnel

import (
	"bufio"
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
	// Binding is what Binding returns for the TLS connection below Conn. The
	// handshake signs it, so that it holds on this connection alone.
	Binding []byte
	// TCP is the socket below, for its loss figures; nil when unknown.
	TCP *net.TCPConn
}

// from is the address of the other end; that of a WebSocket does not say.
func (l Lane) from() net.Addr {
	if l.TCP != nil {
		return l.TCP.RemoteAddr()
	}
	return l.Conn.RemoteAddr()
}

// batchBytes is what one write of a lane carries at most: one TLS record.
const batchBytes = 16 << 10

// readBuffer holds the headers of frames; their bytes are read past it. It is
// all that an idle lane holds, beside TLS.
const readBuffer = 256

// lane is a Lane that has joined a session. Its fields are guarded by the
// session's mutex.
type lane struct {
	session *Session
	number  uint16
	conn    net.Conn
	tcp     *net.TCPConn

	queue    []*item     // pushed to this lane, to be written next
	answers  []wireFrame // frames that are not counted: pings and pongs
	flights  []flight    // written, in order, not yet acknowledged
	sent     uint64      // counted frames written
	unacked  int         // bytes in queue and flights
	writing  bool        // a goroutine writes, or is about to
	received uint64      // counted frames read
	told     uint64      // the newest of the session's ackNews this lane has sent
	news     uint64      // the session's ackNews when received last grew
	ackNow   bool        // acknowledge even when there is nothing else to write

	// owed is since when the other end owes a sign of life; zero when it owes none.
	owed time.Time
	// heard is when the last frame came.
	heard time.Time
	// pinged is when it was last asked for a sign of life.
	pinged time.Time
	// probe is when the lane is given up for lack of a pong; zero without probe.
	probe time.Time

	retiring time.Time // when it was asked to end; zero otherwise
	worn     bool      // slow for its losses: to be replaced
	dead     bool
	loss     lossCount
}

// read takes frames off the lane until it ends.
func (l *lane) read() error {
	r := bufio.NewReaderSize(l.conn, readBuffer)
	for {
		frame, err := readFrame(r)
		if err == nil {
			err = l.session.take(l, frame)
			l.session.account.Enforce()
		}
		if err != nil {
			return err
		}
	}
}

// write puts onto the lane what the session gives it, until there is nothing
// left. A lane with nothing to write has no goroutine for it, and no buffer.
func (l *lane) write() {
	b := batches.Get().(*[]byte)
	defer batches.Put(b)
	for {
		if *b = l.session.next(l, (*b)[:0]); len(*b) == 0 {
			return
		}
		if _, err := l.conn.Write(*b); err != nil {
			l.session.lost(l, err)
			return
		}
	}
}

// kickLocked has the lane write what there is for it.
func (l *lane) kickLocked() {
	if !l.writing && !l.dead {
		l.writing = true
		l.session.running.Go(l.write)
	}
}

// batches are the buffers of writes.
var batches = sync.Pool{New: func() any { b := make([]byte, 0, batchBytes+overhead); return &b }}

// run reads until the lane ends, and tells the session why.
func (l *lane) run() {
	l.session.lost(l, l.read())
	// Where the session said why it ends, that goes out before the lane is
	// closed: say leaves the other end closeTimeout for it.
	_, _ = io.Copy(io.Discard, l.conn)
	l.close()
}

// close closes the lane. The socket goes first: TLS and WebSocket would wait
// seconds to say goodbye on a path that takes nothing more, and the last frame
// has said it.
func (l *lane) close() {
	if l.tcp != nil {
		l.tcp.Close()
	}
	l.conn.Close()
}

// stalled is for how long the oldest frame in flight has been on its way.
func (l *lane) stalled(now time.Time) time.Duration {
	if len(l.flights) == 0 {
		return 0
	}
	return now.Sub(l.flights[0].at)
}

// usable reports whether frames may be given to the lane.
func (l *lane) usable() bool { return !l.dead && l.retiring.IsZero() }

// quietly is err without what only says that a connection ended.
func quietly(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// tcpOf is the socket below a connection, for callers that did not name it.
func tcpOf(c net.Conn) *net.TCPConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	tcp, _ := c.(*net.TCPConn)
	return tcp
}
