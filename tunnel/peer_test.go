package tunnel

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// peer is a session's other end, played frame by frame over one lane.
type peer struct {
	t       testing.TB
	session *Session // the end that is tested
	conn    net.Conn // this one
	group   sync.WaitGroup
	budget  *budget.Budget

	mu       sync.Mutex
	got      []wireFrame
	counted  uint64 // frames read that need an acknowledgement
	mute     bool   // reads, and answers nothing
	forget   bool   // keeps nothing of what it read
	readErr  error
	received chan struct{} // closed when conn has ended
}

// side is which end the peer plays.
type side bool

const (
	dials   side = true
	accepts side = false
)

// newPeer plays one end of a session in a synctest bubble, over a lane of no
// latency. It acknowledges every frame until muted.
func newPeer(t testing.TB, plays side) *peer {
	return newPeerIn(t, plays, nil)
}

// newPeerIn is newPeer whose session counts in b.
func newPeerIn(t testing.TB, plays side, b *budget.Budget) *peer {
	near, far := wirePair(always(0), 0)
	p := &peer{t: t, conn: near, received: make(chan struct{}), budget: b}
	if plays == dials {
		p.joinAgent(far)
	} else {
		p.dialAgent(far)
	}
	p.group.Go(p.read)
	t.Cleanup(func() {
		p.session.Close(nil)
		p.conn.Close()
		p.group.Wait()
	})
	return p
}

// joinAgent has an Acceptor take the peer for an agent.
func (p *peer) joinAgent(far net.Conn) {
	established := make(chan *Session, 1)
	a := &Acceptor{
		Admit: admitAll, Budget: p.budget,
		Established: func(s *Session) { established <- s },
	}
	p.group.Go(func() {
		if err := a.Join(context.WithoutCancel(p.t.Context()), Lane{Conn: far, Binding: make([]byte, bindingSize)}); err != nil {
			p.t.Errorf("join: %v", err)
		}
	})
	key := keyOf("agent")
	h := hello{key: key.Public().(ed25519.PublicKey)}
	if _, err := talk(p.conn, h.encode(key, make([]byte, bindingSize))); err != nil {
		p.t.Fatal(err)
	}
	p.session = <-established
}

// dialAgent has an agent take the peer for a relay; its further lanes fail.
func (p *peer) dialAgent(far net.Conn) {
	p.group.Go(func() {
		if _, err := readHello(p.conn, make([]byte, bindingSize)); err != nil {
			p.t.Error(err)
		}
		w := welcome{session: sessionID{1}, lane: 1}
		p.conn.Write(w.encode())
	})
	lanes := make(chan net.Conn, 1)
	lanes <- far
	s, _, err := Dial(context.Background(), Config{Key: keyOf("agent"), Budget: p.budget, Dial: func(context.Context) (Lane, error) {
		select {
		case conn := <-lanes:
			return Lane{Conn: conn, Binding: make([]byte, bindingSize)}, nil
		default:
			return Lane{}, errDown
		}
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.session = s
}

// read keeps and answers what the session says.
func (p *peer) read() {
	defer close(p.received)
	r := bufio.NewReader(p.conn)
	for {
		f, err := readFrame(r)
		p.mu.Lock()
		if err != nil {
			p.readErr = err
			p.mu.Unlock()
			return
		}
		if !p.forget {
			p.got = append(p.got, f)
		}
		answer := wireFrame{}
		switch {
		case f.kind.counted():
			p.counted++
			answer = wireFrame{kind: kindAck, lane: 1, number: p.counted}
		case f.kind == kindPing:
			answer = wireFrame{kind: kindPong, number: f.number}
		}
		mute := p.mute
		p.mu.Unlock()
		if answer.kind != 0 && !mute {
			p.conn.Write(answer.append(nil))
		}
	}
}

func (p *peer) send(frames ...wireFrame) {
	for _, f := range frames {
		p.conn.Write(f.append(nil))
	}
}

func (p *peer) sleep(d time.Duration) { time.Sleep(d) }

// seen is the frames of a kind that came.
func (p *peer) seen(k kind) []wireFrame {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []wireFrame
	for _, f := range p.got {
		if f.kind == k {
			found = append(found, f)
		}
	}
	return found
}

// want holds the session to having said exactly one frame of a kind.
func (p *peer) want(t *testing.T, k kind) {
	t.Helper()
	if n := len(p.seen(k)); n != 1 {
		t.Errorf("%d frames of kind 0x%02x; want 1", n, byte(k))
	}
}

// wantBroken holds the session to having ended for a breach of the protocol,
// and to having told it.
func (p *peer) wantBroken(t *testing.T) *ProtocolError {
	t.Helper()
	select {
	case <-p.session.Done():
	case <-time.After(time.Minute):
		t.Fatal("the session goes on")
	}
	var broken *ProtocolError
	if err := p.session.Err(); !errors.As(err, &broken) {
		t.Fatalf("the session ended with %v; want a *ProtocolError", err)
	}
	<-p.received
	last := p.seen(kindClose)
	if len(last) != 1 || Code(last[0].number) != CodeFailed || string(last[0].data) != cut(broken.Text) {
		t.Errorf("it says %v at the end; want code %d and %q", last, CodeFailed, broken.Text)
	}
	return broken
}
