package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// handoverSocket serves requests that are handed over to w, and returns how to dial.
func handoverSocket(t *testing.T, w *world) func() *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "late") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.ServeHandover(context.Background(), ln) }()
	t.Cleanup(func() {
		w.Close()
		if err := within(t, "the end of ServeHandover", done); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return func() *net.UnixConn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		return c.(*net.UnixConn)
	}
}

// handoverHead is the head of a stream for host, as the predecessor sends it.
func handoverHead(host string) []byte {
	return authority{name: host, full: host}.head("https", netip.MustParseAddrPort("192.0.2.7:5"))
}

// TestHandover: how a successor answers on its socket.
func TestHandover(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) {
		o.Limits.Wait = 100 * time.Millisecond
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	dial := handoverSocket(t, w)
	key := testKey("a")
	one := w.agent(key, claimOf(key, ""), http.HandlerFunc(echo)).grant.Hosts[0]
	plain := w.agent(testKey("b"), tunnel.Claim{Name: "shop", Hosts: []string{""}}, http.HandlerFunc(echo)).grant.Hosts[0]
	for name, c := range map[string]struct {
		sent  []byte
		host  string // of the following request; empty for none
		reply []byte
	}{
		"an unguessable name": {appendBytes16(nil, handoverHead(one)), one, []byte{1, 0, 0, 0}},
		"a plain name":        {appendBytes16(nil, handoverHead(plain)), plain, append([]byte{1, 0}, appendBytes16(nil, []byte(plain))...)},
		"nobody's name":       {appendBytes16(nil, handoverHead("nobody."+domain)), "", []byte{0, unknownName, 0, 0}},
		"no head":             {appendBytes16(nil, nil), "", nil},
		"nonsense":            {appendBytes16(nil, []byte("nonsense")), "", nil},
		"a head of any size":  {[]byte{0xff, 0xff}, "", nil},
		"half a head":         {[]byte{0, 9, 1}, "", nil},
		"nothing":             {nil, "", nil},
	} {
		conn := dial()
		if _, err := conn.Write(c.sent); err != nil {
			t.Fatal(err)
		}
		if c.host == "" {
			if name != "a head of any size" { // which is refused because of its size alone
				_ = conn.CloseWrite()
			}
			if got, err := io.ReadAll(conn); !bytes.Equal(got, c.reply) || err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("%s: %q, %v; want %q", name, got, err, c.reply)
			}
			continue
		}
		got := make([]byte, len(c.reply))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, c.reply) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.reply)
		}
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", c.host)
		_ = conn.CloseWrite()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if body, err := io.ReadAll(res.Body); !strings.Contains(string(body), "public="+c.host+" ") || !strings.Contains(string(body), "body=body") || err != nil {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
	eventually(t, "all that failed are noted", func() bool { return strings.Count(log.String(), "request of the predecessor failed") == 6 })
	for _, key := range []string{"a", "b"} {
		slots := w.shares.forKey(publicKey(testKey(key))).slots
		eventually(t, "none is under way", func() bool { return slots.inUse() == 0 })
	}
}

// TestHandoverEnds: idle connections and requests of the predecessor do not delay the end
// of the relay, and a predecessor that leaves sends no request.
func TestHandoverEnds(t *testing.T) {
	w := start(t, nil)
	dial := handoverSocket(t, w)
	key := testKey("a")
	ended := make(chan struct{}, 2)
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		ended <- struct{}{}
	})).grant.Hosts[0]
	ask := func() *net.UnixConn {
		c := dial()
		_, _ = c.Write(appendBytes16(nil, handoverHead(host)))
		_, _ = io.ReadFull(c, make([]byte, 4))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		return c
	}
	slots := w.shares.forKey(publicKey(key)).slots
	first := ask()
	eventually(t, "a request is under way", func() bool { return slots.inUse() == 1 })
	first.Close()
	within(t, "the end of the request", ended)
	eventually(t, "its slot is free", func() bool { return slots.inUse() == 0 })
	idle, second := dial(), ask()
	eventually(t, "a request is under way", func() bool { return slots.inUse() == 1 })
	began := time.Now()
	w.Close()
	if took := time.Since(began); took >= handoverTimeout/2 {
		t.Errorf("the relay has closed after %v", took)
	}
	for _, c := range []net.Conn{idle, second} {
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("a connection stays: %v", err)
		}
	}
}

// TestRequestSuccessor: how the predecessor reads a reply.
func TestRequestSuccessor(t *testing.T) {
	for name, c := range map[string]struct {
		reply string
		want  claimed
		err   error // nil for want
	}{
		"of an older version": {"\x01\x01\x00\x04zone", claimed{zone: "zone"}, nil},
		"a zone":              {"\x01\x00\x00\x04zone", claimed{zone: "zone"}, nil},
		"no zone":             {"\x01\x00\x00\x00", claimed{}, nil},
		"no share":            {"\x00\x00\x00\x00", claimed{}, errSuccessorOffline},
		"nobody's name":       {"\x00\x02\x00\x00", claimed{}, errSuccessorUnknown},
		"no reply":            {"", claimed{}, io.EOF},
		"half a reply":        {"\x01", claimed{}, io.ErrUnexpectedEOF},
		"no length of a zone": {"\x01\x00", claimed{}, io.EOF},
		"half a length":       {"\x01\x00\x00", claimed{}, io.ErrUnexpectedEOF},
		"half a zone":         {"\x01\x00\x00\x04zo", claimed{}, io.ErrUnexpectedEOF},
	} {
		near, far := net.Pipe()
		asked := make(chan string, 1)
		go func() {
			head, _ := readBytes16(far)
			asked <- string(head)
			_, _ = io.WriteString(far, c.reply)
			if c.err != nil {
				far.Close()
			}
		}()
		got, err := requestSuccessor(near, []byte("head"))
		if !errors.Is(err, c.err) || c.err == nil && (err != nil || got.zone != c.want.zone) {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, c.want, c.err)
		}
		if head := <-asked; head != "head" {
			t.Errorf("%s: it sent %q", name, head)
		}
		near.Close()
		far.Close()
	}
	if !errors.Is(errSuccessorOffline, errAsleep) || !errors.Is(errSuccessorUnknown, errUnknownName) {
		t.Error("visitors are not told what the successor says")
	}
	// Without a deadline, nothing is sent.
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if _, err := requestSuccessor(undated{near}, nil); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("without a deadline: %v", err)
	}
}

// undated is a connection without deadlines.
type undated struct{ net.Conn }

func (undated) SetDeadline(time.Time) error { return os.ErrInvalid }

// TestOpenAtSuccessor: an unreachable successor is reported, and not as a share that is
// asleep.
func TestOpenAtSuccessor(t *testing.T) {
	r := idle(t, nil)
	refused := errors.New("refused")
	_, err := r.openAtSuccessor(t.Context(), func(context.Context) (net.Conn, error) { return nil, refused }, nil)
	if !errors.Is(err, refused) || !strings.Contains(err.Error(), "successor") || errors.Is(err, errAsleep) {
		t.Errorf("%v", err)
	}
	near, far := net.Pipe()
	far.Close()
	closed := new(bool)
	if _, err := r.openAtSuccessor(t.Context(), func(context.Context) (net.Conn, error) { return noting{near, closed}, nil }, nil); err == nil {
		t.Error("a successor that says nothing has a share")
	}
	if !*closed {
		t.Error("its connection stays open")
	}
}

// noting is a connection that notes its end.
type noting struct {
	net.Conn
	closed *bool
}

func (n noting) Close() error {
	*n.closed = true
	return n.Conn.Close()
}

// TestHandoverCancelled: when a visitor leaves, its request at the successor ends too.
func TestHandoverCancelled(t *testing.T) {
	w := start(t, nil)
	dial := handoverSocket(t, w)
	key := testKey("a")
	begun, gone := make(chan struct{}), make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(gone)
	})).grant.Hosts[0]
	late, err := w.openAtSuccessor(t.Context(), func(context.Context) (net.Conn, error) { return dial(), nil }, handoverHead(host))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(late, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	within(t, "the request", begun)
	late.Reset()
	within(t, "its end", gone)
}

func TestBytes16(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, tunnel.MaxHead, tunnel.MaxHead + 1} {
		b := bytes.Repeat([]byte("x"), size)
		got, err := readBytes16(iotest.OneByteReader(bytes.NewReader(appendBytes16(nil, b))))
		if fits := size <= tunnel.MaxHead; (err == nil) != fits || fits && !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
}
