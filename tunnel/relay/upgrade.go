package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/splice"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// switchProtocols joins the visitor's connection with the stream after a 101
// (RFC 9110 section 7.8), until both directions have ended. from contains what the
// agent sent after its response.
func (x *exchange) switchProtocols(res *http.Response, from *bufio.Reader) error {
	protocol := res.Header.Get("Upgrade")
	if !field.Offered(x.upgrade, protocol) {
		return &brokenError{err: fmt.Errorf("the agent switched to %q, not to %q", protocol, x.upgrade)}
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
	client := splice.Peer{Conn: visitor, From: activityReader{splice.Ahead(buffered.Reader, visitor), x.slot}}
	if strings.EqualFold(protocol, "websocket") {
		client.Frames = websocket.NewWriter(visitor)
	}
	server := splice.Peer{Conn: resetOnClose{x.agentConn}, From: activityReader{splice.Ahead(from, x.agentConn), x.slot}}
	joined := splice.New(client, server, nil)
	x.charge(2 * splice.BlockSize)
	defer context.AfterFunc(x.r.Context(), joined.Cut)()
	x.in, x.out = x.relay.upgrades.run(joined)
	return nil
}

// writeSwitch writes the head of the 101.
func (x *exchange) writeSwitch(visitor net.Conn, res *http.Response) error {
	fields := http.Header{}
	field.CopyResponse(fields, res.Header)
	dropWideCookies(fields, x.claimed.zone, x.at.name)
	fields["Connection"], fields["Upgrade"] = []string{"Upgrade"}, res.Header["Upgrade"]
	return splice.WriteSwitch(visitor, fields)
}

// activityReader notes in a slot that bytes move.
type activityReader struct {
	src  io.Reader
	slot *slot
}

// Read implements io.Reader.
func (r activityReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.slot.touch()
	return n, err
}

// resetOnClose resets an agentConn when it is closed.
type resetOnClose struct{ agentConn }

// Close implements io.Closer.
func (r resetOnClose) Close() error {
	r.Reset()
	return nil
}

// upgrades are the upgraded connections of a relay. The zero value has none.
type upgrades struct {
	mu    sync.Mutex
	all   map[*splice.Upgrade]struct{}
	ended bool
}

// run runs u until it ends, by itself or by end.
func (us *upgrades) run(u *splice.Upgrade) (in, out int64) {
	us.add(u)
	in, out, _ = u.Run(func() { us.remove(u) })
	return in, out
}

func (us *upgrades) add(u *splice.Upgrade) {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.all == nil {
		us.all = map[*splice.Upgrade]struct{}{}
	}
	us.all[u] = struct{}{}
	if us.ended {
		u.Close(websocket.ServiceRestart)
	}
}

func (us *upgrades) remove(u *splice.Upgrade) {
	us.mu.Lock()
	defer us.mu.Unlock()
	delete(us.all, u)
}

// end ends every upgraded connection, now and from now on.
func (us *upgrades) end() {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.ended = true
	for u := range us.all {
		u.Close(websocket.ServiceRestart)
	}
}

func (us *upgrades) count() int {
	us.mu.Lock()
	defer us.mu.Unlock()
	return len(us.all)
}
