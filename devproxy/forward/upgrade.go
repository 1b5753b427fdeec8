package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// closeGrace is how long the two ends of a WebSocket have to answer our close
// frame before the connections are closed under them.
const closeGrace = time.Second

// upgrade joins the visitor's connection with the upstream's after a 101
// (RFC 9110 section 7.8), until both directions have ended.
func (u *Upstream) upgrade(w http.ResponseWriter, r *http.Request, res *http.Response, x Exchange) error {
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(upgradeType(r.Header), upgradeType(res.Header)) {
		_ = res.Body.Close() // the answer is of no use
		return &UpstreamError{Member: x.Report.Member, Err: fmt.Errorf(
			"it switched to %q, but %q was asked for", upgradeType(res.Header), upgradeType(r.Header))}
	}
	defer upstream.Close()
	visitor, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return &UpstreamError{Member: x.Report.Member, Err: fmt.Errorf("the visitor's connection cannot be upgraded: %w", err)}
	}
	defer visitor.Close()
	x.Report.Upgrade = true
	if err := writeSwitch(visitor, res, x); err != nil {
		return errors.Join(ErrAborted, err)
	}
	t := newTunnel(x.Match.Route.ID, visitor, buffered.Reader, upstream, strings.EqualFold(upgradeType(res.Header), "websocket"))
	u.streams.add(t)
	t.run()
	u.streams.remove(t) // from here on nobody calls end
	t.enders.Wait()
	return nil
}

// writeSwitch writes the head of the upstream's 101.
func writeSwitch(visitor net.Conn, res *http.Response, x Exchange) error {
	protocol := upgradeType(res.Header)
	header := http.Header{}
	copyResponseHeader(header, res.Header, x.Match.Route)
	if header["Content-Type"] == nil {
		delete(header, "Content-Type")
	}
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = []string{protocol}
	head := bufio.NewWriter(visitor)
	fmt.Fprintf(head, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(head) // Flush tells
	fmt.Fprintf(head, "\r\n")
	return head.Flush()
}

// tunnel is an upgraded exchange: two connections, each direction copied by a
// goroutine of its own and ended by itself.
type tunnel struct {
	routeID  string
	visitor  net.Conn
	upstream io.ReadWriteCloser
	buffered io.Reader // what the visitor sent behind its request

	// toVisitor and toUpstream write the two directions of a WebSocket; nil
	// for any other protocol, which has no close frame to send.
	toVisitor, toUpstream *frameWriter

	ending sync.Once
	enders sync.WaitGroup // the goroutine of end
	done   chan struct{}  // closed when both directions have ended
}

func newTunnel(routeID string, visitor net.Conn, buffered *bufio.Reader, upstream io.ReadWriteCloser, websocket bool) *tunnel {
	t := &tunnel{routeID: routeID, visitor: visitor, upstream: upstream, done: make(chan struct{})}
	t.buffered = visitor
	if n := buffered.Buffered(); n > 0 {
		t.buffered = io.MultiReader(io.LimitReader(buffered, int64(n)), visitor)
	}
	if websocket {
		t.toVisitor = &frameWriter{dst: visitor}
		t.toUpstream = &frameWriter{dst: upstream}
	}
	return t
}

// run copies both directions until both have ended.
func (t *tunnel) run() {
	var directions sync.WaitGroup
	directions.Go(func() { t.carry(t.writer(t.toUpstream, t.upstream), t.buffered, t.upstream) })
	directions.Go(func() { t.carry(t.writer(t.toVisitor, t.visitor), t.upstream, t.visitor) })
	directions.Wait()
	close(t.done)
}

func (t *tunnel) writer(framed *frameWriter, raw io.Writer) io.Writer {
	if framed != nil {
		return framed
	}
	return raw
}

// carry copies one direction. Its end is passed on as a half-close, so that the
// other direction goes on; a failure ends both.
func (t *tunnel) carry(dst io.Writer, src io.Reader, end any) {
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	// The wrappers hide ReadFrom and WriteTo, which would allocate a buffer.
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buffer[:])
	switch {
	case errors.Is(err, errClosedByUs):
		// The other end answers our close frame; whatever comes is read so
		// that its last bytes do not meet a reset.
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{src}, buffer[:])
	case err != nil:
		t.cut()
	default:
		if half, ok := end.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
			t.cut()
		}
	}
}

func (t *tunnel) cut() {
	_ = t.visitor.Close()
	_ = t.upstream.Close()
}

func (t *tunnel) route() string { return t.routeID }

// end closes the tunnel: a WebSocket with close frames, after which the ends
// have closeGrace to hang up by themselves.
func (t *tunnel) end() {
	t.ending.Do(func() { t.enders.Go(t.close) })
}

func (t *tunnel) close() {
	if t.toVisitor != nil {
		frames := make(chan struct{})
		go func() {
			defer close(frames)
			t.toVisitor.end(closeFrame(closeServiceRestart, false))
			t.toUpstream.end(closeFrame(closeGoingAway, true))
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
