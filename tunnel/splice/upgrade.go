// Package splice passes the bytes of an exchange from one connection to another:
// the body and the trailers of a response, and both directions of an upgraded
// connection. The two forwarders, devproxy/forward and tunnel/relay, share it, so
// that both flush, end and close in the same way.
package splice

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/websocket"
)

// CloseGrace is how long the peers of a WebSocket may take to answer a close
// frame before their connections are closed.
const CloseGrace = time.Second

// Peer is one of the two connections of an Upgrade.
type Peer struct {
	// Conn is closed to end both directions at once. Its method CloseWrite, if it
	// has one, ends one of them.
	Conn io.ReadWriteCloser
	// From yields the peer's bytes. It begins with the bytes that were read too
	// early.
	From io.Reader
	// Frames writes the frames of a WebSocket to Conn; nil for another protocol,
	// which has no close frame.
	Frames *websocket.Writer
}

func (p *Peer) writer() io.Writer {
	if p.Frames != nil {
		return p.Frames
	}
	return p.Conn
}

// Upgrade joins two connections that have switched protocols (RFC 9110 section
// 7.8). Each direction has its own goroutine and ends independently.
type Upgrade struct {
	client, server Peer
	toServer       io.Writer

	closing sync.Once
	closers sync.WaitGroup // the goroutine of Close
	done    chan struct{}  // closed when both directions have ended
}

// New makes an Upgrade. rules apply to the client's messages when both peers
// have Frames; nil rules pass every message.
func New(client, server Peer, rules *websocket.Rules) *Upgrade {
	u := &Upgrade{client: client, server: server, toServer: server.writer(), done: make(chan struct{})}
	if rules != nil && server.Frames != nil {
		u.toServer = websocket.NewFilter(server.Frames, *rules)
	}
	return u
}

// Run copies both directions until both have ended. It returns how many bytes
// came from the client and from the server, and why a direction failed. It calls
// ended before it returns; from then on Close must not be called.
func (u *Upgrade) Run(ended func()) (in, out int64, err error) {
	var inward sync.WaitGroup
	var inErr, outErr error
	inward.Go(func() { in, inErr = u.copy(u.toServer, &u.server, &u.client) })
	out, outErr = u.copy(u.client.writer(), &u.client, &u.server)
	inward.Wait()
	close(u.done)
	ended()
	u.closers.Wait()
	return in, out, errors.Join(inErr, outErr)
}

// copy copies one direction. Its end is passed on as a half-close, so that the
// other direction continues. A failure ends both.
func (u *Upgrade) copy(w io.Writer, to, from *Peer) (int64, error) {
	buffer := NewBlock()
	defer buffer.Free()
	// The wrappers hide ReadFrom and WriteTo, which would allocate a buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{from.From}, buffer[:])
	if violation, ok := errors.AsType[*websocket.ViolationError](err); ok {
		u.Close(violation.Code)
		err = websocket.ErrClosed
	}
	if errors.Is(err, websocket.ErrClosed) {
		// The other peer answers the close frame. Whatever it sends is read, so
		// that it gets the close frame and not a reset.
		_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{from.From}, buffer[:])
		return n, nil
	}
	if err == nil {
		err = CloseWrite(to.Conn)
	}
	if err != nil {
		u.Cut()
	}
	return n, err
}

// Cut closes both connections.
func (u *Upgrade) Cut() {
	_ = u.client.Conn.Close()
	_ = u.server.Conn.Close()
}

// Close ends a WebSocket with close frames: code for the client, 1001 for the
// server. The peers then have CloseGrace to close their connections. It cuts any
// other protocol. Close returns at once.
func (u *Upgrade) Close(code uint16) {
	u.closing.Do(func() { u.closers.Go(func() { u.close(code) }) })
}

func (u *Upgrade) close(code uint16) {
	if u.client.Frames == nil {
		u.Cut()
		return
	}
	// Arm both first: a peer's answer to its close frame must not reach the other
	// peer in place of the other's own close frame.
	if u.server.Frames != nil {
		u.server.Frames.Arm(websocket.CloseFrame(websocket.GoingAway, true))
	}
	u.client.Frames.Arm(websocket.CloseFrame(code, false))
	var written sync.WaitGroup
	written.Go(func() {
		if u.server.Frames != nil {
			u.server.Frames.End()
		}
		u.client.Frames.End()
	})
	select {
	case <-u.done:
	case <-time.After(CloseGrace):
	}
	u.Cut() // ends a Write that blocks
	written.Wait()
}

// errNoHalfClose is the error of CloseWrite for a connection without that method.
var errNoHalfClose = errors.New("this connection cannot close one direction alone")

// CloseWrite closes the sending direction of a connection and leaves the other
// one open.
func CloseWrite(conn any) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}

// Ahead returns a reader of the bytes already in buffered, and then of conn.
func Ahead(buffered *bufio.Reader, conn io.Reader) io.Reader {
	n := buffered.Buffered()
	if n == 0 {
		return conn
	}
	return io.MultiReader(io.LimitReader(buffered, int64(n)), conn)
}

// WriteSwitch writes the head of a 101 to the client. header has its fields,
// Connection and Upgrade among them.
func WriteSwitch(client io.Writer, header http.Header) error {
	head := bufio.NewWriter(client)
	fmt.Fprint(head, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(head) // Flush returns its error
	fmt.Fprint(head, "\r\n")
	return head.Flush()
}
