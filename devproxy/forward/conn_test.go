package forward

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/tunnel/splice"
)

// TestUpgradeList: the upstream chooses one of the protocols that a visitor
// lists, and need not repeat Connection in its 101.
func TestUpgradeList(t *testing.T) {
	for about, tt := range map[string]struct{ asks, gets, status string }{
		"a list":              {"Upgrade: foo, Echo", "Connection: Upgrade\r\nUpgrade: echo", "101"},
		"two lines":           {"Upgrade: foo\r\nUpgrade: echo", "Connection: Upgrade\r\nUpgrade: echo", "101"},
		"no Connection":       {"Upgrade: echo", "Upgrade: echo", "101"},
		"other Connection":    {"Upgrade: echo", "Upgrade: echo\r\nConnection: keep-alive", "101"},
		"one that is not":     {"Upgrade: foo, bar", "Connection: Upgrade\r\nUpgrade: echo", "502"},
		"all that was listed": {"Upgrade: foo, echo", "Connection: Upgrade\r\nUpgrade: foo, echo", "502"},
		"none":                {"Upgrade: foo, echo", "Connection: Upgrade", "502"},
		"h2c and another":     {"Upgrade: h2c, echo", "Connection: Upgrade\r\nUpgrade: echo", "101"},
	} {
		for _, pieces := range []int{1, 1 << 10} {
			t.Run(fmt.Sprint(about, " in pieces of ", pieces), func(t *testing.T) {
				p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
					head, err := readHead(r)
					if err != nil {
						return
					}
					if strings.Contains(strings.ToLower(head), "h2c") {
						t.Errorf("the upstream was asked %q", head)
					}
					answer := "HTTP/1.1 101 Switching Protocols\r\n" + tt.gets + "\r\n\r\nfirst "
					for len(answer) > 0 {
						n := min(pieces, len(answer))
						io.WriteString(c, answer[:n])
						answer = answer[n:]
					}
					io.Copy(c, r)
				}))
				c := p.dial(t)
				defer c.Close()
				fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n%s\r\n\r\n", tt.asks)
				r := bufio.NewReader(c)
				head, err := readHead(r)
				if err != nil || !strings.HasPrefix(head, "HTTP/1.1 "+tt.status) {
					t.Fatalf("got %q %v, want %s", head, err, tt.status)
				}
				if tt.status != "101" {
					return
				}
				io.WriteString(c, "hello")
				splice.CloseWrite(c)
				if got, err := io.ReadAll(r); string(got) != "first hello" || err != nil {
					t.Errorf("got %q %v", got, err)
				}
			})
		}
	}
}

// TestStrayBytes: what an upstream sends in excess of an answer does not reach
// the next request on its connection, which is sent again when it is safe.
func TestStrayBytes(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 200, "PUT": 502, "DELETE": 502} {
		var connections atomic.Int64
		p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
			first := connections.Add(1) == 1
			for n := 1; ; n++ {
				if _, err := readHead(r); err != nil {
					return
				}
				if first && n == 2 {
					io.WriteString(c, "left over from the answer before")
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}))
		p.get(t, "/first")
		<-p.report
		req, _ := http.NewRequest(method, p.URL+"/second", nil)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", method, res.Status, want)
		}
	}
}
