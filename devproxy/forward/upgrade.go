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

// switchProtocols joins the visitor's connection with the upstream's after a
// 101 (RFC 9110 section 7.8), until both directions have ended.
func (f *forwarding) switchProtocols(res *http.Response) error {
	protocol := res.Header.Get("Upgrade")
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok || !field.Offered(f.upgrade, protocol) {
		res.Body.Close()
		return &UpstreamError{Member: f.member.Text, Err: fmt.Errorf("switched to %q, asked for %q", protocol, f.upgrade),
			Reason: "switched to a protocol that nobody asked for"}
	}
	defer upstream.Close()
	f.finishBody() // a body in front of the new protocol
	visitor, buffered, err := f.control.Hijack()
	if err != nil {
		return &UpstreamError{Member: f.member.Text, Err: err, Reason: "switched protocols, and the visitor's connection cannot"}
	}
	defer visitor.Close()
	f.Report.Upgrade, f.Report.Status = true, http.StatusSwitchingProtocols
	if err := f.writeSwitch(visitor, res); err != nil {
		return errors.Join(ErrVisitorGone, err)
	}
	client := splice.Peer{Conn: visitor, From: splice.Ahead(buffered.Reader, visitor)}
	server := splice.Peer{Conn: upstream, From: upstream}
	if strings.EqualFold(protocol, "websocket") {
		client.Frames, server.Frames = websocket.NewWriter(visitor), websocket.NewWriter(upstream)
	}
	var rules *websocket.Rules
	if f.Messages != nil {
		rules = f.Messages(res.Header.Get("Sec-WebSocket-Protocol"))
	}
	joined := splice.New(client, server, rules)
	st := f.upstream.streams.add(f.route.ID, f.mark, &f.member.Member, func() { joined.Close(websocket.ServiceRestart) })
	defer f.upstream.streams.until(f.Over, st)()
	f.Report.BytesIn, f.Report.BytesOut, _ = joined.Run(func() { f.upstream.streams.remove(st) })
	return nil
}

// writeSwitch writes the head of the upstream's 101.
func (f *forwarding) writeSwitch(visitor net.Conn, res *http.Response) error {
	header := http.Header{}
	responseHeader(header, res.Header, f.route)
	f.setSticky(header)
	if header["Content-Type"] == nil {
		delete(header, "Content-Type")
	}
	header["Connection"] = []string{"Upgrade"}
	header["Upgrade"] = res.Header["Upgrade"]
	if f.Switched != nil {
		f.Switched(header)
	}
	return splice.WriteSwitch(visitor, header)
}

// switchConn adds "Connection: Upgrade" to a 101. Some servers leave it out
// (RFC 9110 section 7.8 demands it of requests and responses alike); browsers
// accept that, and net/http would not hand the connection over.
type switchConn struct {
	net.Conn
	head  []byte // of the answer: read, and not yet returned
	known bool   // the answer's status line has come, and head is settled
}

// switchLine is how a 101 begins.
const switchLine = "HTTP/1.1 101"

// Read implements net.Conn.
func (c *switchConn) Read(p []byte) (int, error) {
	for !c.known {
		piece := make([]byte, 512)
		n, err := c.Conn.Read(piece)
		c.head = append(c.head, piece[:n]...)
		c.settle(err != nil)
		if err != nil && len(c.head) == 0 {
			return 0, err
		}
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// settle adds the field as soon as the status line is complete. over says that
// nothing more comes.
func (c *switchConn) settle(over bool) {
	begun := min(len(c.head), len(switchLine))
	line, rest, complete := strings.Cut(string(c.head), "\n")
	switch {
	case over, string(c.head[:begun]) != switchLine[:begun], len(c.head) > maxResponseHead:
		c.known = true
	case complete:
		c.known = true
		c.head = []byte(line + "\nConnection: Upgrade\r\n" + rest)
	}
}

// CloseWrite ends what is sent and leaves the other direction open.
func (c *switchConn) CloseWrite() error { return splice.CloseWrite(c.Conn) }
