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
	client := splice.Peer{Conn: visitor, From: moving{splice.Ahead(buffered.Reader, visitor), x.slot}}
	if strings.EqualFold(protocol, "websocket") {
		client.Frames = websocket.NewWriter(visitor)
	}
	server := splice.Peer{Conn: resetting{x.pipe}, From: moving{splice.Ahead(from, x.pipe), x.slot}}
	joined := splice.New(client, server, nil)
	x.hold(2 * splice.BlockSize)
	defer context.AfterFunc(x.r.Context(), joined.Cut)()
	x.in, x.out = x.relay.runSwitched(joined)
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

// resetting is a pipe that is reset when it is closed.
type resetting struct{ pipe }

// Close implements io.Closer.
func (r resetting) Close() error {
	r.Reset()
	return nil
}

// runSwitched runs an upgrade that a restart of the relay ends.
func (r *Relay) runSwitched(s *splice.Upgrade) (in, out int64) {
	r.addSwitched(s)
	in, out, _ = s.Run(func() { r.removeSwitched(s) })
	return in, out
}

func (r *Relay) addSwitched(s *splice.Upgrade) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.switched[s] = struct{}{}
	if r.restarting {
		s.Close(websocket.ServiceRestart)
	}
}

func (r *Relay) removeSwitched(s *splice.Upgrade) {
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
		s.Close(websocket.ServiceRestart)
	}
}
