package forward

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// portForwarder accepts connections and hands them to a server once that is
// there. Until then it closes them as away says.
type portForwarder struct {
	net.Listener
	there  atomic.Bool
	away   func(*net.TCPConn)
	closed atomic.Int64
}

// Accept implements net.Listener.
func (l *portForwarder) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || l.there.Load() {
			return c, err
		}
		l.away(c.(*net.TCPConn))
		l.closed.Add(1)
	}
}

// TestPortForwarder: requests to a forwarder whose server is not there yet are
// held, and answered when it is. What may not be sent twice arrives once.
func TestPortForwarder(t *testing.T) {
	for about, away := range map[string]func(*net.TCPConn){
		"closes":       func(c *net.TCPConn) { c.Close() },
		"resets":       func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() },
		"closes later": func(c *net.TCPConn) { time.Sleep(acceptTime / 10); c.Close() },
		"reads first": func(c *net.TCPConn) { // as one that copies before it has dialled
			_ = c.SetReadDeadline(time.Now().Add(acceptTime / 10))
			_, _ = c.Read(make([]byte, 1<<10))
			c.Close()
		},
	} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprint(about, " ", method, " TLS ", secure), func(t *testing.T) {
					ln, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					var served atomic.Int64
					l := &portForwarder{Listener: ln, away: away}
					p := newProxy(t, "h1", Options{}, forwardedMember(t, l, secure, &served))
					p.route.Hold = patience
					answer := make(chan string, 1)
					go func() {
						req, _ := http.NewRequest(method, p.URL, strings.NewReader("data"))
						res, err := p.client().Do(req)
						if err != nil {
							answer <- err.Error()
							return
						}
						defer res.Body.Close()
						body, _ := io.ReadAll(res.Body)
						answer <- fmt.Sprint(res.StatusCode, " ", string(body))
					}()
					for l.closed.Load() < maxResends+2 { // more often than it is sent again
						select {
						case got := <-answer:
							t.Fatalf("answered before the server was there: %s", got)
						case <-time.After(time.Millisecond):
						}
					}
					l.there.Store(true)
					if got := within(t, "an answer", answer); got != "200 data" || served.Load() != 1 {
						t.Errorf("got %q; served %d times", got, served.Load())
					}
				})
			}
		}
	}
}

// forwardedMember serves what l accepts.
func forwardedMember(t *testing.T, l net.Listener, secure bool, served *atomic.Int64) plan.Member {
	t.Helper()
	m := plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{l.Addr().String()}, Text: ":forwarded"}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.Copy(w, r.Body)
	})}
	if secure {
		m.Scheme, m.SkipVerify, m.ServerName = plan.SchemeHTTPS, true, "localhost"
		l = tls.NewListener(l, testTLS(t))
	}
	var group sync.WaitGroup
	group.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		_ = srv.Close()
		group.Wait()
	})
	return m
}

// TestServerThatHangsUp: one that closes the connection because of a request is
// not taken for a forwarder, and others do not wait.
func TestServerThatHangsUp(t *testing.T) {
	var asked atomic.Int64
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err == nil && strings.HasPrefix(head, "GET /well") {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return
		}
		asked.Add(1)
	}))
	p.route.Hold = patience
	res, _ := p.get(t, "/dies")
	if n := asked.Load(); res.StatusCode != http.StatusBadGateway || n != 1+maxResends {
		t.Errorf("%s after %d requests", res.Status, n)
	}
	if doubt := p.upstream.members.shared[0].accepts.doubt.Load(); doubt != 0 {
		t.Errorf("each new connection waits for %v", time.Duration(doubt))
	}
	if res, _ := p.get(t, "/well"); res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}

// TestServerThatSpeaksFirst: what comes while a connection is confirmed is not
// lost.
func TestServerThatSpeaksFirst(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	go io.WriteString(server, "hello")
	var a acceptance
	a.doubt.Store(int64(patience))
	c, err := a.confirm(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
		t.Errorf("read %q %v", got, err)
	}
}
