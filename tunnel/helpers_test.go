package tunnel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// keyOf is a key that is the same in every run.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// network joins the ends of a session over connections that a test can cut.
type network struct {
	t        testing.TB
	acceptor *Acceptor
	// pipe makes a connection; TCP on loopback when nil.
	pipe func() (near, far net.Conn)

	established chan *Session
	log         *slog.Logger // of both ends; nil discards

	mu    sync.Mutex
	down  bool // dials fail
	stuck bool // what is dialled carries nothing
	conns []net.Conn
	dials int
	group sync.WaitGroup
}

// overWires is a network in memory, for a synctest bubble.
func overWires(latency time.Duration) *network {
	return &network{pipe: func() (near, far net.Conn) { return wirePair(always(latency), 0) }}
}

// errDown is a dial while the network is cut.
var errDown = errors.New("the network is down")

// dial makes a lane whose far end joins the acceptor.
func (n *network) dial(ctx context.Context) (Lane, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	if n.down {
		return Lane{}, errDown
	}
	near, far := n.pair()
	if n.stuck {
		near.(*wireConn).hold(true)
	}
	n.conns = append(n.conns, near, far)
	binding := bytes.Repeat([]byte{byte(n.dials)}, bindingSize)
	n.group.Go(func() {
		err := n.acceptor.Join(context.WithoutCancel(ctx), Lane{Conn: far, Binding: binding})
		if err != nil && n.log != nil {
			n.log.Debug("not joined", "error", err)
		}
	})
	return Lane{Conn: near, Binding: binding}, nil
}

// dialled is how many lanes were asked for.
func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *network) pair() (near, far net.Conn) {
	if n.pipe != nil {
		return n.pipe()
	}
	return tcpPair(n.t)
}

func tcpPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// cut breaks every connection, and every dial until repair.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

// conn is the near end of lane i/2, or the far one when i is odd.
func (n *network) conn(i int) *wireConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns[i].(*wireConn)
}

func (n *network) repair() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down, n.stuck = false, false
}

// holdAll makes every connection, old or new, carry nothing until repair; old ones
// stay so for good.
func (n *network) holdAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stuck = true
	for _, c := range n.conns {
		c.(*wireConn).hold(true)
	}
}

// breakOne closes one connection.
func (n *network) breakOne(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.conns) > 0 {
		n.conns[i%len(n.conns)].Close()
	}
}

// sessions opens a session: the agent's end and the relay's.
func (n *network) sessions(t testing.TB) (agent, relay *Session) {
	t.Helper()
	n.t = t
	n.open()
	agent, answer, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: n.dial, Log: n.log})
	if err != nil {
		t.Fatal(err)
	}
	if string(answer) != "welcome" {
		t.Errorf("the answer is %q", answer)
	}
	relay = <-n.established
	t.Cleanup(func() {
		agent.Close(nil)
		relay.Close(nil)
		n.group.Wait()
	})
	return agent, relay
}

// open gives the network an acceptor that admits everyone.
func (n *network) open() {
	if n.acceptor != nil {
		return
	}
	n.established = make(chan *Session, 10)
	n.acceptor = &Acceptor{
		Admit: func(context.Context, ed25519.PublicKey, []byte, net.Addr) ([]byte, error) {
			return []byte("welcome"), nil
		},
		Established: func(s *Session) { n.established <- s },
		Log:         n.log,
	}
}

// pair opens a stream without a byte on it: the opener's end and the other.
func pair(t *testing.T, from, to *Session) (near, far *Stream) {
	t.Helper()
	near, err := from.Open([]byte("head"))
	if err != nil {
		t.Fatal(err)
	}
	from.mu.Lock()
	near.open()
	from.mu.Unlock()
	return near, accept(t, to)
}

func accept(t *testing.T, s *Session) *Stream {
	t.Helper()
	st, err := s.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// echo answers every stream with what it reads.
func echo(t *testing.T, s *Session) {
	var group sync.WaitGroup
	group.Go(func() {
		for {
			st, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			group.Go(func() {
				defer st.Close()
				if _, err := io.Copy(struct{ io.Writer }{st}, struct{ io.Reader }{st}); err != nil && s.Err() == nil {
					t.Errorf("echo: %v", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		s.Close(nil)
		group.Wait()
	})
}

// random is n bytes that differ at every offset's neighbourhood.
func random(n int, seed byte) []byte {
	b := make([]byte, 0, n+sha256.Size)
	sum := sha256.Sum256([]byte{seed})
	for len(b) < n {
		b = append(b, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return b[:n]
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
