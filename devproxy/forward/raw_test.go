package forward

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// rawUpstream hands each accepted connection to serve, and closes it after.
func rawUpstream(t *testing.T, serve func(c *net.TCPConn, r *bufio.Reader)) plan.Member {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn), bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait()
	})
	return plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{ln.Addr().String()}, Text: ":upstream"}
}

// readHead reads up to the empty line, as it came.
func readHead(r *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String(), err
		}
	}
}

// answering is a raw upstream that gives each request the same bytes.
func answering(t *testing.T, answer string) plan.Member {
	return rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			io.WriteString(c, answer)
			c.CloseWrite()
			io.Copy(io.Discard, r)
		}
	})
}

// get sends a request to p and returns the response with its body read.
func (p *proxy) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	res, err := p.client().Get(p.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}
