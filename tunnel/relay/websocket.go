package relay

import (
	"context"
	"net"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/page"
)

// serveAgent makes a lane of a WebSocket, for agents whose network lets only
// HTTPS pass.
func (v *visit) serveAgent() {
	v.agentLane = true
	binding, err := tunnel.Binding(*v.r.TLS)
	if err != nil || v.r.Header.Get("Origin") != "" { // no browser is an agent
		v.answer(page.Page{Status: 400, Public: true, Title: "Only agents connect here, over TLS 1.3."})
		return
	}
	c, err := websocket.Accept(v.w, v.r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		v.status, v.fault = 400, err // Accept has answered
		return
	}
	v.status = 101
	v.end() // the lane's session counts from now on
	lane := laneConn{websocket.NetConn(context.WithoutCancel(v.r.Context()), c, websocket.MessageBinary), c, v.conn.RemoteAddr()}
	v.relay.lane(v.conn, tunnel.Lane{Conn: lane, Binding: binding, TCP: v.conn.tcp()})
}

// laneConn is a lane inside of a WebSocket. Its end is the session's to tell:
// Close does not wait for the other end's close frame.
type laneConn struct {
	net.Conn
	socket *websocket.Conn
	remote net.Addr
}

// RemoteAddr implements net.Conn: the agent's address, not the WebSocket's.
func (l laneConn) RemoteAddr() net.Addr { return l.remote }

// Close implements net.Conn.
func (l laneConn) Close() error { return l.socket.CloseNow() }
