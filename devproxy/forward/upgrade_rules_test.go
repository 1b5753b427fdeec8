package forward

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel/splice"
	frames "github.com/devproxy/devproxy/tunnel/websocket"
)

// judging passes messages that begin with "p" and drops those with "d".
func judging() *frames.Rules {
	return &frames.Rules{Judge: func(m frames.Message) frames.Verdict {
		switch {
		case strings.HasPrefix(string(m.Data), "p"):
			return frames.Pass
		case strings.HasPrefix(string(m.Data), "d"):
			return frames.Drop
		}
		return frames.Refuse
	}}
}

func TestMessagesOfVisitorsAreJudged(t *testing.T) {
	upgrades(t, func(t *testing.T, visitor, upstream string) {
		ends := make(chan error, 1)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, echoSocket(ends)))
		p.visit = func(x *Exchange) { x.Messages = func(string) *frames.Rules { return judging() } }
		c := dialWebSocket(t, p)
		for _, message := range []string{"pass", "drop", "pass again", "refuse"} {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(message, "pass") {
				continue // no echo
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != message {
				t.Fatalf("got %q, %v, want %q", got, err, message)
			}
		}
		if _, got, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("got %q, %v, want the close code 1008", got, err)
		}
		if status := websocket.CloseStatus(<-ends); status != websocket.StatusGoingAway {
			t.Errorf("the upstream saw close code %d", status)
		}
		<-p.report
		if n := p.upstream.Streams(); n != 0 {
			t.Errorf("%d streams are still open", n)
		}
	})
}

// Rules are for WebSockets alone, and nil rules are none.
func TestOtherUpgradesAreNotJudged(t *testing.T) {
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(c, r)
		}
	}))
	p.visit = func(x *Exchange) { x.Messages = func(string) *frames.Rules { return judging() } }
	c := p.dial(t)
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nrefuse this"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	if _, err := readHead(in); err != nil {
		t.Fatal(err)
	}
	if err := splice.CloseWrite(c); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); err != nil || string(got) != "refuse this" {
		t.Errorf("got %q, %v", got, err)
	}

	ends := make(chan error, 1)
	p = newProxy(t, "h1", Options{}, startUpstream(t, "http", echoSocket(ends)))
	p.visit = func(x *Exchange) { x.Messages = func(string) *frames.Rules { return nil } }
	socket := dialWebSocket(t, p)
	if err := socket.Write(t.Context(), websocket.MessageText, []byte("refuse")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := socket.Read(t.Context()); err != nil || string(got) != "refuse" {
		t.Errorf("got %q, %v", got, err)
	}
}

var errInspected = errors.New("not for you")

func TestResponsesAreInspectedBeforeTheyAreWritten(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Secret", "1")
			_, _ = io.WriteString(w, "secret")
		})))
		refuse := true
		p.visit = func(x *Exchange) {
			x.Inspect = func(res *http.Response) error {
				if refuse {
					return errInspected
				}
				res.Body = io.NopCloser(io.MultiReader(strings.NewReader("in front of "), res.Body))
				res.ContentLength = -1
				res.Header.Del("Content-Length")
				return nil
			}
		}
		res, err := p.client().Get(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.Header.Get("X-Secret") != "" || strings.Contains(string(text), "secret") {
			t.Errorf("the visitor got %v %q", res.Header, text)
		}
		if err := <-p.errs; !errors.Is(err, errInspected) {
			t.Errorf("Forward returned %v", err)
		}
		<-p.report
		refuse = false
		if res, err = p.client().Get(p.URL); err != nil {
			t.Fatal(err)
		}
		text, _ = io.ReadAll(res.Body)
		res.Body.Close()
		if string(text) != "in front of secret" {
			t.Errorf("the visitor got %q", text)
		}
	})
}
