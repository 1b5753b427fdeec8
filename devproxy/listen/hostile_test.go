package listen

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
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

// records are the levels and texts of a Set's log.
type records struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, record.Level.String()+" "+record.Message)
	return nil
}

// noPeer is a connection whose client has reset it before this process got it.
type noPeer struct{ net.Conn }

func (noPeer) RemoteAddr() net.Addr { return nil }

// TestWhatIsLogged: errors without a caller are logged once for each connection.
func TestWhatIsLogged(t *testing.T) {
	for want, do := range map[string]func(s *Set){
		"DEBUG a client left in the handshake": func(s *Set) {
			ours, theirs := net.Pipe()
			ours.Close()
			s.admit(noPeer{theirs}, s.secure)
		},
		"WARN a connection was closed: too many have not finished their handshake": func(s *Set) {
			s.slots = make(chan struct{})
			_, theirs := net.Pipe()
			s.admit(theirs, s.secure)
		},
		"WARN accepting a connection failed; retrying": func(s *Set) {
			s.acceptLoop(&failing{fails: 0, begun: time.Now()}, func(c net.Conn) { c.Close() })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, logged := bareSet(t), &records{}
			s.log = slog.New(logged)
			do(s)
			s.wg.Wait()
			s.Close()
			if !slices.Equal(logged.all, []string{want}) {
				t.Errorf("logged %q, want %q", logged.all, want)
			}
		})
	}
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

// failing is a socket whose accepts fail as often as it is told, which then
// gives one connection, fails once more and is closed.
type failing struct {
	net.Listener
	fails   int
	accepts []time.Duration // when each came, from the first
	begun   time.Time
}

func (f *failing) Accept() (net.Conn, error) {
	f.accepts = append(f.accepts, time.Since(f.begun))
	switch n := len(f.accepts); n {
	case f.fails + 1:
		_, theirs := net.Pipe()
		return theirs, nil
	case f.fails + 3:
		return nil, net.ErrClosed
	}
	return nil, errors.New("too many open files")
}

func (f *failing) Addr() net.Addr { return &net.TCPAddr{} }

// TestAcceptFailuresPause: each pause is twice the one before, up to the limit,
// and after an accept that works they begin again.
func TestAcceptFailuresPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := bareSet(t), &failing{fails: 10, begun: time.Now()}
		served := 0
		s.acceptLoop(f, func(c net.Conn) { served++; c.Close() })
		var at time.Duration
		want := []time.Duration{0}
		for pause := minAcceptPause; len(want) <= f.fails; pause = min(2*pause, maxAcceptPause) {
			at += pause
			want = append(want, at)
		}
		want = append(want, at, at+minAcceptPause)
		if !slices.Equal(f.accepts, want) {
			t.Errorf("accepts at %v\nwant %v", f.accepts, want)
		}
		s.Close()
		if served != 1 {
			t.Errorf("%d connections are served", served)
		}
	})
}

// TestCloseEndsThePause of a socket that does not accept.
func TestCloseEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := bareSet(t), &failing{fails: 1000, begun: time.Now()}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.acceptLoop(f, func(net.Conn) {})
		}()
		time.Sleep(time.Minute + time.Millisecond)
		s.stop()
		<-done
		if last := f.accepts[len(f.accepts)-1]; last > time.Minute || time.Since(f.begun) != time.Minute+time.Millisecond {
			t.Errorf("the loop ends %v after it began, and accepts last after %v", time.Since(f.begun), last)
		}
	})
}
