package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/splice"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// switchProtocols joins the visitor's connection with the stream after a 101
// (RFC 9110 section 7.8), until both directions have ended. from contains the
// bytes that the agent sent after its response.
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
	x.in, x.out, _ = x.relay.runUpgrade(joined) // the visitor has its answer
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

// runUpgrade runs u until it ends or endUpgrades ends it.
func (l *lifecycle) runUpgrade(u *splice.Upgrade) (in, out int64, err error) {
	l.upgrades.Add(1)
	defer l.upgrades.Add(-1)
	closed := make(chan struct{})
	stop := context.AfterFunc(l.upgraded, func() {
		defer close(closed)
		u.Close(websocket.ServiceRestart)
	})
	return u.Run(func() {
		if !stop() {
			<-closed
		}
	})
}
