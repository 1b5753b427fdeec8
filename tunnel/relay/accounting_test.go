package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/splice"
)

// endless is an endless body.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// from returns a client over HTTP/1.1 or HTTP/2 with its own address and
// connections.
func (w *world) from(address, protocol string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.ca.pool}, Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(ctx, "tcp", w.addr)
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// stalling answers "/" at once, reads no body on /upload until over is closed, and
// sends a body without end on /download.
type stalling struct{ over chan struct{} }

func (s stalling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/upload":
		select { // the server does not notice that a client has left while the body is unread
		case <-r.Context().Done():
		case <-s.over:
		}
	case "/download":
		_, _ = io.Copy(w, endless{})
	case "/wait":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		_, _ = io.WriteString(w, "hello")
	}
}

// TestStalledVisits: visits stay within the relay's memory however they stall, and a
// visitor of another address notices nothing.
func TestStalledVisits(t *testing.T) {
	const most = 8 << 20
	for _, protocol := range []string{"h1", "h2"} {
		for _, path := range []string{"/upload", "/download", "/wait"} {
			t.Run(protocol+path, func(t *testing.T) {
				w := start(t, func(o *Options) { o.Limits.Memory = most })
				over := make(chan struct{})
				defer close(over)
				a := w.agent(testKey("a"), claimOf(testKey("a"), ""), stalling{over})
				url := "https://" + a.grant.Hosts[0]
				ctx, cancel := context.WithCancel(t.Context())
				var group sync.WaitGroup
				cut := make(chan struct{}, 1000)
				for i := range 300 {
					client := w.from(fmt.Sprintf("127.66.0.%d", 1+i%3), protocol)
					group.Go(func() {
						method, body := http.MethodGet, io.Reader(nil)
						if path == "/upload" {
							method, body = http.MethodPost, endless{}
						}
						req, _ := http.NewRequestWithContext(ctx, method, url+path, body)
						res, err := client.Do(req)
						if err == nil {
							switch path {
							case "/wait":
								_, err = io.Copy(io.Discard, res.Body)
							case "/upload":
								err = fmt.Errorf("answered with %s, which the app never does", res.Status)
							default:
								<-ctx.Done()
							}
							res.Body.Close()
						}
						if err != nil && ctx.Err() == nil {
							cut <- struct{}{}
						}
					})
				}
				if path != "/download" { // a client that does not read does not see that it was evicted
					for range 10 {
						select {
						case <-cut:
						case <-time.After(patience):
							t.Fatal("no visit was cut off")
						}
					}
				}
				for deadline := time.Now().Add(patience); w.memory.Evicted() == 0 && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				for range 5 {
					res, err := w.from("127.0.0.9", protocol).Get(url + "/")
					if err != nil {
						t.Fatalf("a visitor from elsewhere: %v", err)
					}
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					if string(body) != "hello" || err != nil {
						t.Errorf("a visitor from elsewhere: %s %q, %v", res.Status, body, err)
					}
				}
				if w.memory.Evicted() == 0 {
					t.Error("nothing was evicted")
				}
				used := w.memory.Used() // with visits that are about to end
				for deadline := time.Now().Add(patience); used > most && time.Now().Before(deadline); used = w.memory.Used() {
					time.Sleep(time.Millisecond)
				}
				if used > most {
					t.Errorf("%d bytes are held", used)
				}
				cancel()
				group.Wait()
			})
		}
	}
}

// TestEvictedSwitch: an upgraded connection that is evicted ends at both ends.
func TestEvictedSwitch(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Memory = 300 << 10 }) // 150 KB for the address: one, not two
	ended := make(chan error, 2)
	a := w.agent(testKey("a"), claimOf(testKey("a"), ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, err = io.Copy(io.Discard, buffered)
		ended <- err
	}))
	first := w.switched(a.grant.Hosts[0])
	w.switched(a.grant.Hosts[0])
	_ = first.SetReadDeadline(time.Now().Add(patience))
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the visitor's connection continues: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the agent's stream continues")
	}
	if w.memory.Evicted() != 1 {
		t.Errorf("%d were evicted; want 1", w.memory.Evicted())
	}
}

// switched opens a connection that has changed its protocol.
func (w *world) switched(name string) net.Conn {
	w.t.Helper()
	secure, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: w.ca.pool, ServerName: name, NextProtos: []string{"http/1.1"}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { secure.Close() })
	fmt.Fprintf(secure, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", name)
	head := make([]byte, 12)
	if _, err := io.ReadFull(secure, head); !strings.HasSuffix(string(head), " 101") {
		w.t.Fatalf("%q, %v", head, err)
	}
	for head = head[:4]; string(head) != "\r\n\r\n"; {
		copy(head, head[1:])
		if _, err := io.ReadFull(secure, head[3:]); err != nil {
			w.t.Fatal(err)
		}
	}
	return secure
}

// TestUploadCost: an upload counts as the window of HTTP/2, or as its length if that is
// less.
func TestUploadCost(t *testing.T) {
	for _, c := range []struct {
		major  int
		length int64
		want   int
	}{
		{1, -1, splice.BlockSize},
		{1, 1 << 40, splice.BlockSize},
		{2, -1, splice.BlockSize + uploadWindow},
		{2, 0, splice.BlockSize},
		{2, uploadWindow - 1, splice.BlockSize + uploadWindow - 1},
		{2, uploadWindow, splice.BlockSize + uploadWindow},
		{2, uploadWindow + 1, splice.BlockSize + uploadWindow},
	} {
		if got := uploadCost(&http.Request{ProtoMajor: c.major, ContentLength: c.length}); got != c.want {
			t.Errorf("HTTP/%d, %d bytes: %d; want %d", c.major, c.length, got, c.want)
		}
	}
	if got := fieldsCost(http.Header{"Abc": {"12", "345"}, "D": {""}}); got != 2*fieldCost+3+5+1 {
		t.Errorf("the fields cost %d", got)
	}
}

// TestHeadOfAResponse: the head of a response counts while it arrives and while it is
// in use.
func TestHeadOfAResponse(t *testing.T) {
	w := start(t, nil)
	var held int64
	a := w.agent(testKey("a"), claimOf(testKey("a"), ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Large", strings.Repeat("x", 100_000))
		rw.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(rw).Flush()
		for deadline := time.Now().Add(patience); held < 100_000 && time.Now().Before(deadline); {
			held = max(held, w.memory.Used()-16<<10-8<<10)
			time.Sleep(time.Millisecond)
		}
	}))
	res, err := w.from("127.0.0.9", "h1").Get("https://" + a.grant.Hosts[0] + "/")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if held < 100_000 {
		t.Errorf("%d bytes were counted", held)
	}
}
