package tunnel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	bindingHere  = bytes.Repeat([]byte{1}, bindingSize)
	bindingThere = bytes.Repeat([]byte{2}, bindingSize)
)

// helloOf is a hello of the key named, with a proof for a binding.
func helloOf(name string, session sessionID, payload, binding []byte) []byte {
	key := keyOf(name)
	h := hello{session: session, key: key.Public().(ed25519.PublicKey), payload: payload}
	return h.encode(key, binding)
}

// changed is b with another byte at an offset; negative ones count from the end.
func changed(b []byte, at int) []byte {
	b = bytes.Clone(b)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0x40
	return b
}

// TestHelloRefused: an end that does not prove its key on this connection does not
// join, and gets the reason.
func TestHelloRefused(t *testing.T) {
	good := helloOf("agent", sessionID{}, []byte("hello"), bindingHere)
	long := append(bytes.Clone(good[:len(good)-5-ed25519.SignatureSize-2]), 0x40, 0x01)
	for name, c := range map[string]struct {
		hello []byte
		code  Code
		why   string
	}{
		"of another connection":  {helloOf("agent", sessionID{}, nil, bindingThere), CodeBadProof, "decrypts TLS"},
		"with another key":       {changed(good, 4+1+16), CodeBadProof, "proof"},
		"with another payload":   {changed(good, -ed25519.SignatureSize-1), CodeBadProof, "proof"},
		"with another session":   {changed(good, 4+1), CodeBadProof, "proof"},
		"with another signature": {changed(good, -1), CodeBadProof, "proof"},
		"of another version":     {changed(good, 4), CodeBadHello, "version 65"},
		"of HTTP":                {[]byte("GET / HTTP/1.1\r\nHost: relay.example.com\r\nAccept: */*\r\n\r\n"), CodeBadHello, "not a devproxy lane"},
		"too long":               {long, CodeBadHello, "16385 bytes; at most 16384"},
		"for no session":         {helloOf("agent", sessionID{7}, nil, bindingHere), CodeNoSession, "no longer exists"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := joinBy(t, openAcceptor(), c.hello)
				var refusal *Refusal
				if !errors.As(err, &refusal) || refusal.Code != c.code {
					t.Errorf("%v; want code %d", err, c.code)
				}
				if w.refusal == nil || w.refusal.Code != c.code || !strings.Contains(w.refusal.Message, c.why) {
					t.Errorf("it is told %v; want code %d and %q", w.refusal, c.code, c.why)
				}
			})
		})
	}
}

// openAcceptor admits everyone.
func openAcceptor() *Acceptor {
	n := &network{}
	n.open()
	return n.acceptor
}

// joinBy says a hello over a new lane, and is what comes of it.
func joinBy(t *testing.T, a *Acceptor, hello []byte) (welcome, error) {
	t.Helper()
	near, far := wirePair(always(time.Millisecond), 0)
	defer near.Close()
	joined := make(chan error, 1)
	go func() { joined <- a.Join(t.Context(), Lane{Conn: far, Binding: bindingHere}) }()
	near.Write(hello)
	w, err := readWelcome(near)
	if err != nil {
		t.Errorf("no welcome: %v", err)
	}
	if w.refusal != nil {
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after the refusal: %v; want the end", err)
		}
	}
	return w, <-joined
}

// TestHelloCut: a hello that ends early is none, and waits for nothing.
func TestHelloCut(t *testing.T) {
	good := helloOf("agent", sessionID{}, []byte("hello"), bindingHere)
	for n := range len(good) {
		synctest.Test(t, func(t *testing.T) {
			near, far := wirePair(always(0), 0)
			near.Write(good[:n])
			near.Close()
			start := time.Now()
			if err := openAcceptor().Join(t.Context(), Lane{Conn: far, Binding: bindingHere}); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of a hello: %v", n, err)
			}
			if d := time.Since(start); d != 0 {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// TestReplay: what was seen on one connection opens nothing on another.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := overWires(time.Millisecond)
		_, relay := n.sessions(t)
		for name, replayed := range map[string][]byte{
			"the first hello":  helloOf("agent", sessionID{}, nil, bindingThere),
			"a further lane's": helloOf("agent", relay.id, nil, bindingThere),
		} {
			if w, _ := joinBy(t, n.acceptor, replayed); w.refusal == nil || w.refusal.Code != CodeBadProof {
				t.Errorf("%s: %v; want CodeBadProof", name, w.refusal)
			}
		}
		w, _ := joinBy(t, n.acceptor, helloOf("thief", relay.id, nil, bindingHere))
		if w.refusal == nil || w.refusal.Code != CodeNoSession {
			t.Errorf("another key's lane in a session: %v; want CodeNoSession", w.refusal)
		}
		if err := relay.Err(); err != nil {
			t.Errorf("the session has ended: %v", err)
		}
	})
}

// TestAdmit: what Admit says reaches the agent.
func TestAdmit(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Refusal
	}{
		"a refusal":     {&Refusal{Code: CodeRevoked, Message: "revoked on Monday"}, Refusal{CodeRevoked, "revoked on Monday"}},
		"a long one":    {&Refusal{Code: CodeRevoked, Message: strings.Repeat("m", 300)}, Refusal{CodeRevoked, strings.Repeat("m", maxMessage)}},
		"another error": {errors.New("disk full"), Refusal{CodeFailed, "disk full"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := overWires(time.Millisecond)
				n.acceptor = &Acceptor{Admit: func(context.Context, ed25519.PublicKey, []byte, net.Addr) ([]byte, error) { return nil, c.err }}
				_, _, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: n.dial})
				n.group.Wait()
				var refusal *Refusal
				if !errors.As(err, &refusal) || *refusal != c.want {
					t.Errorf("%v; want %v", err, &c.want)
				}
			})
		})
	}
}

// TestPayloads: the hello and its answer arrive as they are, up to MaxPayload.
func TestPayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want, answer := random(MaxPayload, 1), random(MaxPayload, 2)
		n := overWires(time.Millisecond)
		established := make(chan *Session, 1)
		n.acceptor = &Acceptor{
			Admit: func(_ context.Context, key ed25519.PublicKey, hello []byte, _ net.Addr) ([]byte, error) {
				if !bytes.Equal(hello, want) || !key.Equal(keyOf("agent").Public()) {
					t.Errorf("%d bytes of key %x; want %d", len(hello), key, len(want))
				}
				return answer, nil
			},
			Established: func(s *Session) { established <- s },
		}
		s, got, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: n.dial, Hello: want})
		if err != nil || !bytes.Equal(got, answer) {
			t.Fatalf("%d bytes, %v; want %d", len(got), err, len(answer))
		}
		s.Close(nil)
		(<-established).Close(nil)
		n.group.Wait()
		if _, _, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: n.dial, Hello: append(want, 0)}); err == nil || !strings.Contains(err.Error(), "at most 16384") {
			t.Errorf("a byte more: %v", err)
		}
	})
}

// TestWelcomeRefused: an invalid welcome ends the dialling with a reason.
func TestWelcomeRefused(t *testing.T) {
	good := (&welcome{session: sessionID{1}, lane: 1, payload: []byte("x")}).encode()
	for name, c := range map[string]struct{ answer, want string }{
		"of HTTP":            {"HTTP/1.1 400 Bad Request\r\n\r\n", "not a devproxy lane"},
		"of another version": {"DVPX\x02\x00", "version 2"},
		"of another kind":    {"DVPX\x01\x02", "begins with 2"},
		"too long":           {string(good[:len(good)-3]) + "\x40\x01", "16385 bytes; at most 16384"},
		"a long refusal":     {"DVPX\x01\x01\x00\x01\x01\x01", "257 bytes; at most 256"},
		"cut":                {string(good[:len(good)-1]), "unexpected EOF"},
		"empty":              {"", "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := wirePair(always(0), 0)
				io.WriteString(far, c.answer)
				far.out.set(func() { far.out.hung = true })
				_, _, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: func(context.Context) (Lane, error) {
					return Lane{Conn: near, Binding: bindingHere}, nil
				}})
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v; want %q", err, c.want)
				}
			})
		})
	}
}

// TestBindingTLS: the binding is the same at both ends of a TLS connection,
// and another on every connection; below TLS 1.3 there is none.
func TestBindingTLS(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		near, far := tlsPair(t)
		a, err := Binding(near.ConnectionState())
		if err != nil || len(a) != bindingSize {
			t.Fatalf("%x, %v", a, err)
		}
		b, err := Binding(far.ConnectionState())
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%x and %x, %v; want the same at both ends", a, b, err)
		}
		if seen[string(a)] {
			t.Error("two connections have the same binding")
		}
		seen[string(a)] = true
		state := near.ConnectionState()
		state.Version--
		if _, err := Binding(state); err == nil {
			t.Error("a binding of TLS 1.2")
		}
		near.Close()
		far.Close()
	}
}
