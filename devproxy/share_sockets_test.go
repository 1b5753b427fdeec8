package devproxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// hotServer is a dev server with a WebSocket on every path: it answers each
// message with the same, and notes it.
type hotServer struct {
	*httptest.Server
	options websocket.AcceptOptions

	mu       sync.Mutex
	messages []string
	offered  []string // extensions
}

func newHotServer(t *testing.T, options websocket.AcceptOptions) *hotServer {
	t.Helper()
	h := &hotServer{options: options}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &h.options)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		h.mu.Lock()
		h.offered = append(h.offered, r.Header.Get("Sec-WebSocket-Extensions"))
		h.mu.Unlock()
		for {
			kind, message, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			h.mu.Lock()
			h.messages = append(h.messages, string(message))
			h.mu.Unlock()
			if conn.Write(context.Background(), kind, message) != nil {
				return
			}
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// got are the messages so far.
func (h *hotServer) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.messages)
}

// dial opens a WebSocket of a visitor, or a local one, with compression offered.
func (s *shareSite) dial(path string, shared bool, protocols ...string) *websocket.Conn {
	s.t.Helper()
	url, client := "wss://"+localName+":"+fmt.Sprint(s.port())+path, s.client(false)
	if shared {
		url, client = "ws://"+publicName+path, s.visitors()
	}
	conn, _, err := websocket.Dial(s.t.Context(), url, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: protocols, CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func write(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

const (
	viteInvoke = `{"type":"custom","event":"vite:invoke","data":{"id":"1","name":"fetchModule","data":["file:///etc/passwd?raw"]}}`
	vitePing   = `{"type":"ping"}`
	appEvent   = `{"type":"custom","event":"my:event","data":{}}`
)

func TestVisitorsCallNothingOnHotSockets(t *testing.T) {
	h := newHotServer(t, websocket.AcceptOptions{Subprotocols: []string{"vite-hmr"}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(h.URL, "http://")), nil)
	socket := s.dial("/?token=x", true, "vite-hmr")
	write(t, socket, appEvent) // dropped
	if err := echo(t.Context(), socket, vitePing); err != nil {
		t.Fatalf("a ping: %v", err)
	}
	write(t, socket, viteInvoke)
	if code := closeCode(t, socket); code != websocket.StatusPolicyViolation {
		t.Errorf("the WebSocket ended with %d, want 1008", code)
	}
	if got := h.got(); !slices.Equal(got, []string{vitePing}) {
		t.Errorf("the dev server got %q", got)
	}
	if record := <-s.records; !strings.Contains(record.Hidden, "Vite") || record.Show != "vite-hmr" || record.Visitor != "203.0.113.7" || record.Host != localName+":"+fmt.Sprint(s.port()) {
		t.Errorf("recorded %+v", record)
	}
	if record := <-s.records; !record.Upgrade || record.Hidden != "" {
		t.Errorf("recorded %+v", record)
	}
	if h.offered[0] != "" {
		t.Errorf("the dev server was offered %q: compressed messages cannot be judged", h.offered[0])
	}
}

// Sockets of the app itself, and those of the developer, carry anything.
func TestOtherSocketsCarryAnything(t *testing.T) {
	h := newHotServer(t, websocket.AcceptOptions{Subprotocols: []string{"vite-hmr", "chat"}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(h.URL, "http://")), nil)
	for i, socket := range []*websocket.Conn{
		s.dial("/", true), s.dial("/", true, "chat"), s.dial("/", false, "vite-hmr"), s.dial("/__vitest_api__", false),
	} {
		for _, message := range []string{viteInvoke, appEvent, strings.Repeat("x", 20<<10)} {
			if err := echo(t.Context(), socket, message); err != nil {
				t.Errorf("socket %d: %.40s: %v", i, message, err)
			}
		}
	}
	for i, offered := range h.offered {
		if !strings.Contains(offered, "permessage-deflate") {
			t.Errorf("socket %d offers %q", i, offered)
		}
	}
}

// A tool may sit below another path than the visitor's.
func TestVisitorsCallNothingThroughARewrite(t *testing.T) {
	h := newHotServer(t, websocket.AcceptOptions{InsecureSkipVerify: true})
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  route \"/test\" {\n    upstream = %q\n    rewrite = \"/_next/hmr\"\n  }\n}\n", strings.TrimPrefix(h.URL, "http://")), nil)
	socket := s.dial("/test", true)
	const ping = `{"event":"ping"}`
	write(t, socket, `{"event":"browser-logs","entries":[]}`)
	if err := echo(t.Context(), socket, ping); err != nil {
		t.Fatalf("a ping: %v", err)
	}
	if got := h.got(); !slices.Equal(got, []string{ping}) {
		t.Errorf("the dev server got %q", got)
	}
}

// An upstream that accepts what it was not offered is judged by that.
func TestTheAcceptedProtocolCounts(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Sec-WebSocket-Protocol", "vite-hmr")
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		_, message, err := conn.Read(context.Background())
		if err == nil {
			t.Errorf("the dev server got %q", message)
		}
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", strings.TrimPrefix(app.URL, "http://")), nil)
	conn := s.dialRelay()
	const upgrade = "GET / HTTP/1.1\r\nHost: " + publicName + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	frame := append([]byte{0x81, 0x80 | 126, 0, byte(len(viteInvoke)), 0, 0, 0, 0}, viteInvoke...)
	if _, err := conn.Write(append([]byte(upgrade), frame...)); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), " 101 ") || !strings.HasSuffix(string(text), "\x88\x02\x03\xf0") {
		t.Errorf("the visitor reads %q, %v, want a close frame with 1008 at the end", text, err)
	}
}
