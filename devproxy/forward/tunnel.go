package forward

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/websocket"
)

// closeGrace is how long the two ends of a WebSocket have to answer our close
// frame before the connections are closed under them.
const closeGrace = time.Second

// tunnel is an upgraded exchange: two connections, each direction copied by a
// goroutine of its own and ended by itself.
type tunnel struct {
	visitor  net.Conn
	upstream io.ReadWriteCloser
	buffered io.Reader // what the visitor sent behind its request

	// toVisitor and toUpstream write the two directions of a WebSocket; nil
	// for any other protocol, which has no close frame to send.
	toVisitor, toUpstream *websocket.Writer
	rules                 *websocket.Rules // for the visitor's messages; nil passes them all

	ending sync.Once
	enders sync.WaitGroup // the goroutine of end
	done   chan struct{}  // closed when both directions have ended
}

func newTunnel(visitor net.Conn, buffered *bufio.Reader, upstream io.ReadWriteCloser, framed bool) *tunnel {
	t := &tunnel{visitor: visitor, upstream: upstream, done: make(chan struct{})}
	t.buffered = visitor
	if n := buffered.Buffered(); n > 0 {
		t.buffered = io.MultiReader(io.LimitReader(buffered, int64(n)), visitor)
	}
	if framed {
		t.toVisitor = websocket.NewWriter(visitor)
		t.toUpstream = websocket.NewWriter(upstream)
	}
	return t
}

// run copies both directions until both have ended, and counts the bytes.
// unlist is called then: after it, nobody may call end.
func (t *tunnel) run(unlist func()) (in, out int64) {
	var inward sync.WaitGroup
	inward.Go(func() { in = t.carry(t.inward(), t.buffered, t.upstream) })
	out = t.carry(t.writer(t.toVisitor, t.visitor), t.upstream, t.visitor)
	inward.Wait()
	close(t.done)
	unlist()
	t.enders.Wait()
	return in, out
}

// inward writes what the visitor sends.
func (t *tunnel) inward() io.Writer {
	if t.rules == nil || t.toUpstream == nil {
		return t.writer(t.toUpstream, t.upstream)
	}
	return websocket.NewFilter(t.toUpstream, *t.rules)
}

func (t *tunnel) writer(framed *websocket.Writer, raw io.Writer) io.Writer {
	if framed != nil {
		return framed
	}
	return raw
}

// carry copies one direction. Its end is passed on as a half-close, so that the
// other direction goes on; a failure ends both.
func (t *tunnel) carry(dst io.Writer, src io.Reader, end any) int64 {
	buffer := newBlock()
	defer freeBlock(buffer)
	// The wrappers hide ReadFrom and WriteTo, which would allocate a buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buffer[:])
	var violation *websocket.ViolationError
	if errors.As(err, &violation) {
		t.end(violation.Code)
		err = websocket.ErrClosed
	}
	switch {
	case errors.Is(err, websocket.ErrClosed):
		// The other end answers our close frame; whatever comes is read so
		// that its last bytes do not meet a reset.
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{src}, buffer[:])
	case err != nil:
		t.cut()
	default:
		if closeWrite(end) != nil {
			t.cut()
		}
	}
	return n
}

// closeWrite ends what is sent on a connection and leaves the other direction
// open.
func closeWrite(c any) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}

var errNoHalfClose = errors.New("this connection cannot close one direction alone")

func (t *tunnel) cut() {
	_ = t.visitor.Close()
	_ = t.upstream.Close()
}

// end closes the tunnel: a WebSocket with close frames, code to the visitor,
// after which the ends have closeGrace to hang up by themselves. It returns at
// once.
func (t *tunnel) end(code uint16) {
	t.ending.Do(func() { t.enders.Go(func() { t.close(code) }) })
}

func (t *tunnel) close(code uint16) {
	if t.toVisitor != nil {
		// Both first: one end's answer to its close frame must not be passed on
		// in place of the other's.
		t.toUpstream.Arm(websocket.CloseFrame(websocket.GoingAway, true))
		t.toVisitor.Arm(websocket.CloseFrame(code, false))
		frames := make(chan struct{})
		go func() {
			defer close(frames)
			t.toUpstream.End()
			t.toVisitor.End()
		}()
		grace := time.NewTimer(closeGrace)
		defer grace.Stop()
		select {
		case <-t.done:
		case <-grace.C:
		}
		defer func() { <-frames }() // the cut below wakes a Write that waits
	}
	t.cut()
}
