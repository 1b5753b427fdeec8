package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// closeGrace is how long a visitor has to answer our close frame before the
// connection is closed under it.
const closeGrace = time.Second

// switchProtocols joins the visitor's connection with the stream after a 101
// (RFC 9110 section 7.8), until both directions have ended. from holds what
// the agent sent behind its response.
func (x *exchange) switchProtocols(res *http.Response, from *bufio.Reader) error {
	protocol := res.Header.Get("Upgrade")
	if !field.Offered(x.upgrade, protocol) {
		return &brokenError{err: fmt.Errorf("the agent switched to %q, asked for %q", protocol, x.upgrade)}
	}
	visitor, buffered, err := x.control.Hijack()
	if err != nil {
		return &brokenError{err: err}
	}
	defer visitor.Close()
	x.status = http.StatusSwitchingProtocols
	if err := x.writeSwitch(visitor, res); err != nil {
		return &brokenError{err: err, answered: true}
	}
	s := &switched{visitor: visitor, pipe: x.pipe, slot: x.slot, done: make(chan struct{})}
	if strings.EqualFold(protocol, "websocket") {
		s.frames = websocket.NewWriter(visitor)
	}
	x.hold(2 * blockSize)
	defer context.AfterFunc(x.r.Context(), s.cut)()
	x.in, x.out = s.run(x.relay, pending(buffered.Reader, visitor), pending(from, x.pipe))
	return nil
}

// pending is what a reader holds already, and then what it reads from.
func pending(buffered *bufio.Reader, src io.Reader) io.Reader {
	n := buffered.Buffered()
	if n == 0 {
		return src
	}
	return io.MultiReader(io.LimitReader(buffered, int64(n)), src)
}

// writeSwitch writes the head of the 101.
func (x *exchange) writeSwitch(visitor net.Conn, res *http.Response) error {
	fields := http.Header{}
	responseFields(fields, res.Header)
	dropWideCookies(fields, x.claimed.zone, x.at.name)
	fields["Connection"], fields["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	head := bufio.NewWriter(visitor)
	fmt.Fprint(head, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = fields.Write(head) // Flush tells
	fmt.Fprint(head, "\r\n")
	return head.Flush()
}

// switched is a connection of a visitor that has changed its protocol, each
// direction copied by a goroutine of its own and ended by itself.
type switched struct {
	visitor net.Conn
	pipe    pipe
	slot    *slot
	frames  *websocket.Writer // towards the visitor; nil for what is no WebSocket
	done    chan struct{}

	ending sync.Once
	enders sync.WaitGroup
}

// run copies until both directions have ended, and counts the bytes.
func (s *switched) run(r *Relay, fromVisitor, fromAgent io.Reader) (in, out int64) {
	r.addSwitched(s)
	defer s.enders.Wait() // after removeSwitched nobody calls end
	defer r.removeSwitched(s)
	defer close(s.done)
	var inward sync.WaitGroup
	inward.Go(func() { in = s.carry(s.pipe, fromVisitor, s.pipe) })
	out = s.carry(s.outward(), fromAgent, s.visitor)
	inward.Wait()
	return in, out
}

func (s *switched) outward() io.Writer {
	if s.frames != nil {
		return s.frames
	}
	return s.visitor
}

// carry copies one direction. Its end is passed on as a half-close, so that the
// other direction goes on; a failure ends both.
func (s *switched) carry(dst io.Writer, src io.Reader, end any) int64 {
	buf := newBlock()
	defer freeBlock(buf)
	// The wrappers hide ReadFrom and WriteTo, which would allocate a buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, moving{src, s.slot}, buf[:])
	switch {
	case errors.Is(err, websocket.ErrClosed):
		// The visitor answers our close frame; end waits for it.
	case err != nil:
		s.cut()
	default:
		if half, ok := end.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
			s.cut()
		}
	}
	return n
}

// moving notes that bytes move.
type moving struct {
	src  io.Reader
	slot *slot
}

// Read implements io.Reader.
func (m moving) Read(p []byte) (int, error) {
	n, err := m.src.Read(p)
	m.slot.touch()
	return n, err
}

func (s *switched) cut() {
	_ = s.visitor.Close()
	s.pipe.Reset()
}

// end closes it: a WebSocket with a close frame, after which the visitor has
// closeGrace to hang up by itself. It returns at once.
func (s *switched) end() {
	s.ending.Do(func() { s.enders.Go(s.close) })
}

func (s *switched) close() {
	defer s.cut()
	if s.frames == nil {
		return
	}
	s.frames.Arm(websocket.CloseFrame(websocket.ServiceRestart, false))
	written := make(chan struct{})
	go func() {
		defer close(written)
		s.frames.End()
	}()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-s.done:
	case <-grace.C:
	}
	s.cut() // wakes a Write that waits
	<-written
}

func (r *Relay) addSwitched(s *switched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.switched[s] = struct{}{}
	if r.restarting {
		s.end()
	}
}

func (r *Relay) removeSwitched(s *switched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.switched, s)
}

// restart ends every switched connection; those that come are ended at once.
func (r *Relay) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restarting = true
	for s := range r.switched {
		s.end()
	}
}
