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

func startEcho() *echoServer {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		<-conn.CloseRead(r.Context()).Done()
	})
	return &echoServer{httptest.NewServer(handler)}
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
		err = checkSwitched(bufio.NewReader(conn))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func checkSwitched(r *bufio.Reader) error {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
