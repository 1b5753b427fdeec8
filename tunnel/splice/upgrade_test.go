package splice

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/devproxy/devproxy/tunnel/websocket"
)

// conn counts how it is ended.
type conn struct {
	io.Reader
	io.Writer
	halfFails      error // of CloseWrite
	halves, closed int
	unblock        func() // called by the first Close
}

func (c *conn) CloseWrite() error { c.halves++; return c.halfFails }

func (c *conn) Close() error {
	if c.closed++; c.closed == 1 && c.unblock != nil {
		c.unblock()
	}
	return nil
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestUpgradeDirections: the end of each direction is passed on, and a failure cuts
// both.
func TestUpgradeDirections(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		from   io.Reader
		to     io.Writer
		half   error
		halves int
		cut    bool
		want   error
	}{
		"all is copied":               {strings.NewReader("abc"), io.Discard, nil, 1, false, nil},
		"reading fails":               {iotest.ErrReader(broken), io.Discard, nil, 0, true, broken},
		"writing fails":               {strings.NewReader("abc"), failingWriter{broken}, nil, 0, true, broken},
		"the end cannot be passed on": {strings.NewReader("abc"), io.Discard, broken, 1, true, broken},
	} {
		t.Run(name, func(t *testing.T) {
			client := &conn{Writer: io.Discard}
			server := &conn{Writer: c.to, halfFails: c.half}
			u := New(Peer{Conn: client, From: c.from}, Peer{Conn: server, From: strings.NewReader("de")}, nil)
			ended := 0
			in, out, err := u.Run(func() { ended++ })
			if !errors.Is(err, c.want) || err == nil != (c.want == nil) || out != 2 || ended != 1 {
				t.Errorf("%d bytes in, %d out, %v; ended %d times", in, out, err, ended)
			}
			if !c.cut && in != 3 || server.halves != c.halves || client.halves != 1 {
				t.Errorf("%d bytes in; half-closed %d and %d times", in, server.halves, client.halves)
			}
			if cut := client.closed > 0 && server.closed > 0; cut != c.cut {
				t.Errorf("cut: %t", cut)
			}
		})
	}
}

// TestUpgradeWithoutHalfClose: a connection that cannot end one direction alone is cut.
func TestUpgradeWithoutHalfClose(t *testing.T) {
	client := &conn{Writer: io.Discard}
	server := &conn{Writer: io.Discard}
	u := New(Peer{Conn: client, From: strings.NewReader("")}, Peer{Conn: struct{ io.ReadWriteCloser }{server}, From: strings.NewReader("")}, nil)
	if _, _, err := u.Run(func() {}); !errors.Is(err, errNoHalfClose) || client.closed == 0 || server.closed == 0 {
		t.Errorf("%v; closed %d and %d times", err, client.closed, server.closed)
	}
}

// TestViolationEndsTheWebSocket: a message that the rules refuse ends both
// directions with a close frame.
func TestViolationEndsTheWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var toClient, toServer strings.Builder
		fromServer, endServer := io.Pipe()
		client := &conn{Writer: &toClient}
		server := &conn{Writer: &toServer, unblock: func() { endServer.Close() }}
		frame := "\x81\x81\x00\x00\x00\x00x" // masked text "x"
		u := New(Peer{Conn: client, From: strings.NewReader(frame), Frames: websocket.NewWriter(client)},
			Peer{Conn: server, From: fromServer, Frames: websocket.NewWriter(server)},
			&websocket.Rules{Judge: func(websocket.Message) websocket.Verdict { return websocket.Refuse }})
		_, _, err := u.Run(func() {})
		if err != nil {
			t.Error(err)
		}
		if want := string(websocket.CloseFrame(websocket.PolicyViolation, false)); toClient.String() != want {
			t.Errorf("the client gets %q, want %q", toClient.String(), want)
		}
		if got := toServer.String(); len(got) != 8 || got[0] != 0x88 {
			t.Errorf("the server gets %q, want a masked close frame", got)
		}
	})
}
