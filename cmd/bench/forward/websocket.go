package forward

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"
)

// echoServer is an upstream whose WebSockets stay open until their client goes.
type echoServer struct{ server *httptest.Server }

func startEcho() (*echoServer, error) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		<-conn.CloseRead(r.Context()).Done()
	})
	return &echoServer{httptest.NewServer(handler)}, nil
}

func (e *echoServer) addr() string { return e.server.Listener.Addr().String() }

func (e *echoServer) close() {
	e.server.CloseClientConnections()
	e.server.Close()
}

// upgrade opens a WebSocket through the proxy at addr (RFC 6455 section 4.1).
func upgrade(addr string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", hostName)
	if err == nil {
		var res *http.Response
		if res, err = http.ReadResponse(bufio.NewReader(conn), nil); err == nil && res.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
