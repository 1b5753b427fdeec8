package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/splice"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// switchProtocols joins the client's connection with the upstream's after a 101
// (RFC 9110 section 7.8), until both directions have ended.
func (f *forwarding) switchProtocols(res *http.Response) error {
	protocol := res.Header.Get("Upgrade")
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok || !field.Offered(f.upgrade, protocol) {
		res.Body.Close()
		return &UpstreamError{Member: f.member.Text, Err: fmt.Errorf("switched to %q, not to %q", protocol, f.upgrade),
			Reason: "switched to a protocol that the client did not offer"}
	}
	defer upstream.Close()
	f.finishBody() // a body before the new protocol
	conn, buffered, err := f.control.Hijack()
	if err != nil {
		return &UpstreamError{Member: f.member.Text, Err: err, Reason: "switched protocols, and the client's connection can't"}
	}
	defer conn.Close()
	f.Report.Upgrade, f.Report.Status = true, http.StatusSwitchingProtocols
	if err := f.writeSwitch(conn, res); err != nil {
		return errors.Join(ErrClientGone, err)
	}
	client := splice.Peer{Conn: conn, From: splice.Ahead(buffered.Reader, conn)}
	server := splice.Peer{Conn: upstream, From: upstream}
	if strings.EqualFold(protocol, "websocket") {
		client.Frames, server.Frames = websocket.NewWriter(conn), websocket.NewWriter(upstream)
	}
	var rules *websocket.Rules
	if f.Messages != nil {
		rules = f.Messages(res.Header.Get("Sec-WebSocket-Protocol"))
	}
	joined := splice.New(client, server, rules)
	closeStream := f.openStream(func() { joined.Close(websocket.ServiceRestart) })
	f.Report.BytesIn, f.Report.BytesOut, _ = joined.Run(closeStream)
	return nil
}

// writeSwitch writes the head of the upstream's 101.
func (f *forwarding) writeSwitch(conn net.Conn, res *http.Response) error {
	header := http.Header{}
	responseHeader(header, res.Header, f.route)
	f.setCookie(header)
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = res.Header["Upgrade"]
	if f.Switched != nil {
		f.Switched(header)
	}
	return splice.WriteSwitch(conn, header)
}
