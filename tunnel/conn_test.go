package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

// TestConn holds a stream to what net.Conn promises, from both ends.
func TestConn(t *testing.T) {
	for name, opens := range map[string]func(agent, relay *Session) (from, to *Session){
		"the agent opens": func(agent, relay *Session) (from, to *Session) { return agent, relay },
		"the relay opens": func(agent, relay *Session) (from, to *Session) { return relay, agent },
	} {
		t.Run(name, func(t *testing.T) {
			var n network
			from, to := opens(n.sessions(t))
			nettest.TestConn(t, func() (near, far net.Conn, stop func(), err error) {
				near, far = pair(t, from, to)
				return near, far, func() { near.Close(); far.Close() }, nil
			})
			noStreams(t, from, to)
		})
	}
}

// inBubble runs a test with a session whose clock stands still while no one
// computes.
func inBubble(t *testing.T, test func(t *testing.T, agent, relay *Session)) {
	synctest.Test(t, func(t *testing.T) {
		agent, relay := overWires(40 * time.Millisecond).sessions(t)
		test(t, agent, relay)
	})
}

func TestHalfClose(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		for _, ends := range [][2]*Session{{agent, relay}, {relay, agent}} {
			near, far := pair(t, ends[0], ends[1])
			for _, way := range [][2]*Stream{{near, far}, {far, near}} {
				fmt.Fprint(way[0], "before")
				if err := way[0].CloseWrite(); err != nil {
					t.Error(err)
				}
				wantAll(t, way[1], "before", nil)
				if _, err := way[0].Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("a write after CloseWrite: %v", err)
				}
				if err := way[0].CloseWrite(); err != nil {
					t.Errorf("a second CloseWrite: %v", err)
				}
			}
			noStreams(t, agent, relay)
			near.Close()
			far.Close()
		}
	})
}

func wantAll(t *testing.T, st *Stream, want string, wantErr error) {
	t.Helper()
	got, err := io.ReadAll(st)
	if string(got) != want || !errors.Is(err, wantErr) {
		t.Errorf("read %.40q (%d bytes), %v; want %.40q (%d bytes), %v", got, len(got), err, want, len(want), wantErr)
	}
}

// TestCloseDelivers: Close returns at once, and what was written arrives.
func TestCloseDelivers(t *testing.T) {
	for _, size := range []int{0, 1, 1000, shortBytes, queueBytes} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			inBubble(t, func(t *testing.T, agent, relay *Session) {
				st, _ := relay.Open(nil)
				want := random(size, 1)
				if _, err := st.Write(want); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				st.Close()
				if d := time.Since(start); d != 0 {
					t.Errorf("Close took %v", d)
				}
				far := accept(t, agent)
				if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, %v; want %d", len(got), err, size)
				}
				far.Close()
				noStreams(t, agent, relay)
			})
		})
	}
}

// TestWriteAfterClose: writing to a stream that is no longer read fails.
func TestWriteAfterClose(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		near, far := pair(t, relay, agent)
		fmt.Fprint(far, "for no one")
		time.Sleep(time.Second)
		far.Close()
		var err error
		for range 100 {
			if _, err = near.Write([]byte("x")); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !errors.Is(err, ErrStopped) {
			t.Errorf("%v; want ErrStopped", err)
		}
		wantAll(t, near, "for no one", nil)
		near.Close()
		noStreams(t, agent, relay)
	})
}

// TestStoppedWriter: a write that waits for credit ends when the reader goes.
func TestStoppedWriter(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		near, far := pair(t, relay, agent)
		time.AfterFunc(time.Minute, func() { far.Close() })
		n, err := near.Write(make([]byte, 10<<20))
		if n != FirstCredit || !errors.Is(err, ErrStopped) {
			t.Errorf("wrote %d, %v; want %d, ErrStopped", n, err, FirstCredit)
		}
		near.Close()
		noStreams(t, agent, relay)
	})
}

func TestReset(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		near, far := pair(t, agent, relay)
		fmt.Fprint(near, "dropped")
		time.Sleep(time.Second)
		near.Reset()
		time.Sleep(time.Second)
		wantAll(t, far, "", ErrReset)
		if _, err := far.Write([]byte("x")); !errors.Is(err, ErrStopped) {
			t.Errorf("a write to it: %v; want ErrStopped", err)
		}
		for name, err := range map[string]error{
			"read":  second(near.Read(make([]byte, 1))),
			"write": second(near.Write([]byte("x"))),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("a %s after Reset: %v; want net.ErrClosed", name, err)
			}
		}
		near.Reset()
		near.Close()
		far.Close()
		noStreams(t, agent, relay)
	})
}

func second(_ int, err error) error { return err }

// TestUnopened: a stream that was never used leaves nothing behind.
func TestUnopened(t *testing.T) {
	for name, end := range map[string]func(*Stream){
		"close": func(st *Stream) { st.Close() },
		"reset": func(st *Stream) { st.Reset() },
		"both":  func(st *Stream) { st.Close(); st.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, agent, relay *Session) {
				st, _ := relay.Open(nil)
				end(st)
				time.Sleep(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if far, err := agent.Accept(ctx); err == nil {
					far.Close()
				}
				noStreams(t, agent, relay)
			})
		})
	}
}

func TestHead(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		for _, head := range []string{"", "h", strings.Repeat("h", MaxHead)} {
			st, err := relay.Open([]byte(head))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(st, "x")
			far := accept(t, agent)
			if string(far.Head()) != head || string(st.Head()) != head {
				t.Errorf("the head is %.10q…, %.10q…; want %.10q…", st.Head(), far.Head(), head)
			}
			st.Close()
			far.Close()
		}
		if _, err := relay.Open(make([]byte, MaxHead+1)); err == nil || !strings.Contains(err.Error(), "at most 1024") {
			t.Errorf("a head that is too long: %v", err)
		}
	})
}

// TestReadOpens: waiting to read opens the stream, though nothing is written.
func TestReadOpens(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		st, _ := relay.Open(nil)
		go func() {
			far := accept(t, agent)
			fmt.Fprint(far, "hello")
			far.Close()
		}()
		wantAll(t, st, "hello", nil)
		st.Close()
	})
}

func TestMaxStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		streams := make([]*Stream, MaxStreams)
		for i := range streams {
			streams[i], _ = pair(t, relay, agent)
		}
		if _, err := relay.Open(nil); !errors.Is(err, ErrTooManyStreams) {
			t.Errorf("one more: %v; want ErrTooManyStreams", err)
		}
		if _, err := agent.Open(nil); err != nil {
			t.Errorf("the other end's: %v", err)
		}
		if got := relay.Stats().Streams; got != MaxStreams {
			t.Errorf("%d streams; want %d", got, MaxStreams)
		}
		streams[7].Reset()
		time.Sleep(time.Second)
		if _, err := relay.Open(nil); err != nil {
			t.Errorf("one more, after one has ended: %v", err)
		}
	})
}

func TestAcceptEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(why) })
		if _, err := relay.Accept(ctx); !errors.Is(err, why) {
			t.Errorf("%v; want the context's cause", err)
		}
		time.AfterFunc(time.Minute, func() { agent.Close(nil) })
		if _, err := relay.Accept(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("%v; want ErrClosed", err)
		}
		if _, err := relay.Open(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Open: %v; want ErrClosed", err)
		}
	})
}

// TestSessionEnds: what had come can be read, and then the session's end.
func TestSessionEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		near, far := pair(t, relay, agent)
		whole, _ := pair(t, agent, relay)
		end := &Refusal{Code: 99, Message: "because"}
		fmt.Fprint(near, "part")
		fmt.Fprint(whole, "all")
		whole.CloseWrite()
		time.Sleep(time.Second)
		relay.Close(end)
		time.Sleep(time.Second)
		var got *Refusal
		if err := agent.Err(); !errors.As(err, &got) || *got != *end {
			t.Errorf("the agent's end: %v; want %v", err, end)
		}
		wantAll(t, far, "part", got)
		if _, err := near.Write([]byte("x")); !errors.Is(err, end) {
			t.Errorf("a write: %v; want %v", err, end)
		}
		if err := near.CloseWrite(); !errors.Is(err, end) {
			t.Errorf("CloseWrite: %v; want %v", err, end)
		}
		near.Reset()
		if err := near.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
