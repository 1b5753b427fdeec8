package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/devproxy/devproxy/tunnel/websocket"
)

// switchProtocols joins the visitor's connection with the upstream's after a
// 101 (RFC 9110 section 7.8), until both directions have ended.
func (f *forwarding) switchProtocols(res *http.Response) error {
	protocol := res.Header.Get("Upgrade")
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok || f.upgrade == "" || !strings.EqualFold(f.upgrade, protocol) {
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
	t := newTunnel(visitor, buffered.Reader, upstream, strings.EqualFold(protocol, "websocket"))
	if f.Messages != nil {
		t.rules = f.Messages(res.Header.Get("Sec-WebSocket-Protocol"))
	}
	st := f.upstream.streams.add(f.route.ID, f.mark, func() { t.end(websocket.ServiceRestart) })
	defer f.upstream.streams.until(f.Over, st)()
	f.Report.BytesIn, f.Report.BytesOut = t.run(func() { f.upstream.streams.remove(st) })
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
	head := bufio.NewWriter(visitor)
	fmt.Fprint(head, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(head) // Flush tells
	fmt.Fprint(head, "\r\n")
	return head.Flush()
}
