package listen

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// bareSet has no sockets: what it does with a connection is tried on pipes.
func bareSet(t *testing.T) *Set {
	t.Helper()
	config, _ := testTLS(t)
	s := &Set{
		tls: serverTLS(config), log: slog.New(slog.DiscardHandler),
		accepted: make(chan net.Conn), slots: make(chan struct{}, maxHandshakes),
	}
	s.ctx, s.stop = context.WithCancel(t.Context())
	return s
}

func TestHandshakeIsBounded(t *testing.T) {
	for name, sent := range map[string]string{"silent": "", "stuck": "\x16\x03\x01"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := bareSet(t)
				ours, theirs := net.Pipe()
				began := time.Now()
				s.admit(theirs, s.secure)
				if sent != "" {
					io.WriteString(ours, sent)
				}
				if _, err := io.ReadAll(ours); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != handshakeTimeout {
					t.Errorf("closed after %v, want %v", took, handshakeTimeout)
				}
				s.Close()
			})
		})
	}
}

// TestCloseEndsWhatWasNotHandedOn has one connection in its handshake and one
// that nobody accepts.
func TestCloseEndsWhatWasNotHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bareSet(t)
		var clients []net.Conn
		for _, serve := range []func(net.Conn){s.secure, s.plain} {
			ours, theirs := net.Pipe()
			clients = append(clients, ours)
			s.admit(theirs, serve)
		}
		synctest.Wait()
		began := time.Now()
		s.Close()
		if n := len(s.slots); n > 0 {
			t.Errorf("Close returned with %d connections alive", n)
		}
		for _, c := range clients {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != 0 {
				t.Errorf("%v after %v, want the end at once", err, time.Since(began))
			}
		}
		if _, err := s.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, want net.ErrClosed", err)
		}
	})
}

func TestTooManyHandshakes(t *testing.T) {
	r := serve(t, http.HandlerFunc(tell))
	for range maxHandshakes {
		r.slots <- struct{}{}
	}
	c := r.dial(t, true)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want the connection closed", err)
	}
	// With room again, each connection gives its place back.
	<-r.slots
	<-r.slots
	for range 5 {
		response, err := r.client(t, true).Get("https://" + r.HTTPS()[0].String())
		if err != nil {
			t.Fatalf("with room again: %v", err)
		}
		response.Body.Close()
	}
}

// failing is a socket that has run out of descriptors, until it is closed.
type failing struct {
	net.Listener
	accepts int
	until   time.Time
}

func (f *failing) Accept() (net.Conn, error) {
	if f.accepts++; time.Now().After(f.until) {
		return nil, net.ErrClosed
	}
	return nil, errors.New("too many open files")
}

func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptFailuresPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{until: time.Now().Add(10 * time.Second)}
		bareSet(t).acceptLoop(f, func(net.Conn) {})
		// 5, 10, … 640 ms make 1.3 s; then one a second.
		if f.accepts < 10 || f.accepts > 20 {
			t.Errorf("%d accepts in 10 s", f.accepts)
		}
	})
}
