package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
)

// webPath is where relays take lanes as WebSockets.
const webPath = "/.well-known/devproxy/agent"

// web makes a lane inside a WebSocket (RFC 6455) over the same TLS, whose
// binding the handshake signs as ever: what ends TLS in between is found out.
func (d *dialer) web(ctx context.Context) (tunnel.Lane, error) {
	socket, err := d.connect(ctx)
	if err != nil {
		return tunnel.Lane{}, err
	}
	secure, err := d.secure(ctx, socket, "http/1.1")
	if err != nil {
		return tunnel.Lane{}, err
	}
	conn, err := d.upgrade(ctx, secure)
	if err != nil {
		secure.Close()
		return tunnel.Lane{}, err
	}
	lane := webLane{websocket.NetConn(context.Background(), conn, websocket.MessageBinary), conn}
	return d.laneOver(lane, secure, socket)
}

// upgrade makes a WebSocket of a connection.
func (d *dialer) upgrade(ctx context.Context, c net.Conn) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, shakeTimeout)
	defer cancel()
	transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
	client := &http.Client{
		Transport: transport,
		// A relay does not redirect; whatever does is none.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	conn, response, err := websocket.Dial(ctx, d.target.origin()+webPath, &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // it is closed, says Dial
	if err == nil {
		return conn, nil
	}
	transport.CloseIdleConnections()
	if response != nil {
		return nil, d.target.notRelay(fmt.Errorf("it answers %s", printable(response.Status)))
	}
	if ctx.Err() != nil {
		err = errors.New("no answer to the WebSocket's handshake")
	}
	return nil, d.target.broken("talk to", err)
}

// webLane is a WebSocket as a connection of frames. Its Close does not wait for
// the other end's: the session has said goodbye, if there was anybody to hear.
type webLane struct {
	net.Conn
	ws *websocket.Conn
}

func (l webLane) Close() error {
	err := l.ws.CloseNow()
	_ = l.Conn.Close() // only its timers are left
	return err
}
