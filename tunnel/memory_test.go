package tunnel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// wantCounted recounts what a session holds, and compares it with the account.
func wantCounted(t testing.TB, s *Session) {
	t.Helper()
	unread, held := 0, 0
	if !s.ended {
		held = sessionCost + runCost*len(s.table.over.runs)
	}
	seen := map[*Stream]bool{}
	count := func(st *Stream) {
		if seen[st] {
			return
		}
		seen[st] = true
		cost := st.owned
		for _, c := range st.ready {
			cost += c.cost
		}
		for _, p := range st.pieces {
			cost += len(p.data) + pieceCost
		}
		if cost != st.cost {
			t.Errorf("stream %d counts %d bytes and holds %d", st.id, st.cost, cost)
		}
		unread += cost
		if !s.ended {
			held += st.base
		}
	}
	for _, st := range s.table.open {
		count(st)
	}
	for st := range s.table.left {
		count(st)
	}
	for _, st := range s.table.queue {
		count(st)
	}
	items := map[*item]bool{}
	kept := 0
	add := func(it *item) {
		if items[it] {
			return
		}
		items[it] = true
		if it.charged == 0 && (!it.done || it.copies > 0) {
			t.Errorf("a frame of kind 0x%02x is not counted", byte(it.frame.kind))
		}
		if it.frame.kind.isData() {
			kept += len(it.frame.data)
		}
		held += it.charged
	}
	for _, l := range s.sched.lanes {
		for _, fl := range l.flights {
			add(fl.item)
		}
		for _, it := range l.queue {
			add(it)
		}
	}
	for _, it := range s.sched.resend {
		add(it)
	}
	for _, it := range s.sched.unsent {
		add(it)
	}
	for _, st := range s.table.open {
		for _, it := range st.pending {
			add(it)
		}
	}
	if s.ended {
		held, kept = 0, s.usage.kept
	}
	if unread != s.usage.unread || held != s.usage.held || kept != s.usage.kept {
		t.Errorf("the session counts %d unread, %d held, %d kept; it has %d, %d, %d", s.usage.unread, s.usage.held, s.usage.kept, unread, held, kept)
	}
	if got := s.usage.account.Used(); got != int64(s.usage.unread+s.usage.held) {
		t.Errorf("its account has %d bytes; want %d", got, s.usage.unread+s.usage.held)
	}
}

// wantQuiet holds sessions without streams to counting nothing but themselves.
func wantQuiet(t testing.TB, sessions ...*Session) {
	t.Helper()
	for _, s := range sessions {
		s.mu.Lock()
		wantCounted(t, s)
		if rest := s.usage.held - sessionCost - runCost*len(s.table.over.runs); !s.ended && rest != 0 || s.usage.unread != 0 || s.usage.kept != 0 {
			t.Errorf("at rest, a session holds %d, %d unread, %d kept", rest, s.usage.unread, s.usage.kept)
		}
		s.mu.Unlock()
	}
}

// wantNothingHeld holds a budget to counting nothing, once all sessions have ended.
func wantNothingHeld(t testing.TB, b *budget.Budget) {
	t.Helper()
	if b.Used() != 0 || b.Accounts() != 0 {
		t.Errorf("the budget holds %d bytes in %d accounts; want 0", b.Used(), b.Accounts())
	}
}

// fill opens streams that bring bytes until each has n.
func (p *peer) fill(ids []uint64, n int) {
	block := make([]byte, 8000)
	for _, id := range ids {
		for at := 0; at < n; at += len(block) {
			p.send(wireFrame{kind: kindData | flagOpen, stream: id, number: uint64(at), data: block[:min(len(block), n-at)]})
		}
	}
}

// streamIDs are the numbers of n streams of the end that the peer plays.
func streamIDs(plays side, from, n int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = uint64(from+i) << 1
		if plays == dials {
			ids[i]++
		}
	}
	return ids
}

// TestUnreadBound: streams that no one reads cost no more than the budget,
// whether they go on or are over; the one that holds the most is reset.
func TestUnreadBound(t *testing.T) {
	const most = 4 << 20
	for _, plays := range []side{dials, accepts} {
		for name, ends := range map[string][]wireFrame{
			"that go on":    nil,
			"that are over": {{kind: kindData | flagFin, number: ControlCredit}, {kind: kindStop}},
		} {
			t.Run(fmt.Sprintf("%v/%s", plays, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := budget.New(budget.Limits{Total: most})
					p := newPeerIn(t, plays, b)
					for _, id := range streamIDs(plays, 0, 600) {
						p.fill([]uint64{id}, ControlCredit)
						for _, f := range ends {
							f.stream = id
							p.send(f)
						}
					}
					p.sleep(time.Second)
					if got := b.Used(); got > most || got < most*9/10 {
						t.Errorf("it holds %d bytes; want up to %d", got, most)
					}
					for _, id := range streamIDs(plays, 1000, 50) {
						p.send(wireFrame{kind: kindData | flagOpen, stream: id, head: []byte("small"), data: make([]byte, 1000)})
					}
					p.sleep(time.Second)
					p.session.mu.Lock()
					wantCounted(t, p.session)
					p.session.mu.Unlock()
					reset := readAll(t, p.session)
					if reset["small"] != 0 || reset[""] < 400 || reset[""] > 460 {
						t.Errorf("%v streams were reset; want 400 to 460 of 600, and of those that hold little none", reset)
					}
					p.session.Close(nil)
					wantNothingHeld(t, b)
				})
			})
		}
	}
}

// TestWorstSession: of the sessions that share a budget, the one that holds the
// most gives way, stream by stream; the others lose nothing.
func TestWorstSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(budget.Limits{Total: 1 << 20})
		small, large := newPeerIn(t, accepts, b), newPeerIn(t, dials, b)
		small.fill(streamIDs(accepts, 0, 1), 200<<10)
		for i := range 30 {
			large.fill(streamIDs(dials, 10*i, 10), ControlCredit)
			large.sleep(time.Second)
		}
		if b.Used() > 1<<20 || b.Evicted() < 100 {
			t.Errorf("%d bytes after %d evictions", b.Used(), b.Evicted())
		}
		st := accept(t, small.session)
		if n, err := io.ReadFull(st, make([]byte, 200<<10)); err != nil {
			t.Errorf("the small session's stream: %d bytes, %v", n, err)
		}
		st.Close()
		if err := large.session.Err(); err != nil {
			t.Errorf("the large session ended: %v", err)
		}
	})
}

// TestManySmall: where no stream holds much, the session that holds the most
// ends, and tells the other end that it may come again.
func TestManySmall(t *testing.T) {
	for name, accepted := range map[string]bool{"accepted": true, "not accepted": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { manySmall(t, accepted) })
		})
	}
}

func manySmall(t *testing.T, accepted bool) {
	b := budget.New(budget.Limits{Total: 2 << 20})
	bystander, p := newPeerIn(t, accepts, b), newPeerIn(t, dials, b)
	for _, id := range streamIDs(dials, 0, 1000) {
		p.send(wireFrame{kind: kindData | flagOpen, stream: id, head: make([]byte, 100), data: make([]byte, 10)})
		if accepted {
			_, _ = p.session.Accept(t.Context()) // fails once the session has ended
		}
	}
	p.sleep(time.Second)
	var refused *Refusal
	if err := p.session.Err(); !errors.As(err, &refused) || refused.Code != CodeBusy {
		t.Errorf("it ended with %v; want a *Refusal, busy", err)
	}
	if last := p.seen(kindClose); len(last) != 1 || Code(last[0].number) != CodeBusy {
		t.Errorf("it said %v", last)
	}
	if err := bystander.session.Err(); err != nil {
		t.Errorf("the other session ended: %v", err)
	}
	bystander.session.Close(nil)
	wantNothingHeld(t, b) // though no one has closed a stream
}

// TestStalledSender: an end that grants credit without end and acknowledges
// nothing makes the other keep no more than the budget.
func TestStalledSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 2 << 20
		b := budget.New(budget.Limits{Total: most})
		p := newPeerIn(t, accepts, b)
		p.mute = true
		ended := make(chan error, 20)
		for range 20 {
			st, err := p.session.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			p.send(wireFrame{kind: kindCredit, stream: st.id, number: 1 << 50})
			go func() {
				_, err := st.Write(make([]byte, 1<<20))
				ended <- err
			}()
			p.sleep(10 * time.Millisecond)
			if got := b.Used(); got > most {
				t.Fatalf("it holds %d bytes; want at most %d", got, most)
			}
		}
		p.session.mu.Lock()
		wantCounted(t, p.session)
		p.session.mu.Unlock()
		if b.Evicted() < 10 {
			t.Errorf("%d were evicted", b.Evicted())
		}
		p.session.Close(nil)
		for range 20 {
			<-ended
		}
		wantNothingHeld(t, b)
	})
}

// TestResetSender: what a stream has sent and its user gives up is held no longer,
// though the other end acknowledges nothing. It would belong to no stream, and get
// the session evicted in place of one.
func TestResetSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(budget.Limits{Total: 1 << 20})
		p := newPeerIn(t, accepts, b)
		p.mute = true
		before := b.Used()
		for range 20 {
			st, err := p.session.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			p.send(wireFrame{kind: kindCredit, stream: st.id, number: 1 << 50})
			if _, err := st.Write(make([]byte, 100<<10)); err != nil {
				t.Fatal(err)
			}
			p.sleep(10 * time.Millisecond)
			st.Reset()
			p.sleep(10 * time.Millisecond)
		}
		p.session.mu.Lock()
		wantCounted(t, p.session)
		p.session.mu.Unlock()
		if got := b.Used() - before; got > 20*20*itemCost || b.Evicted() > 0 {
			t.Errorf("%d bytes are held, and %d were evicted", got, b.Evicted())
		}
		p.session.Close(nil)
		wantNothingHeld(t, b)
	})
}

// TestHold: what a stream's user holds counts until Close or Reset, whatever
// the other end does meanwhile, and makes the stream give way.
func TestHold(t *testing.T) {
	for name, end := range map[string]func(*Stream){
		"close": func(st *Stream) { st.Close() },
		"reset": (*Stream).Reset,
	} {
		for _, how := range []string{"open", "reset by the other end", "of a session that ended"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := budget.New(budget.Limits{})
					p := newPeerIn(t, dials, b)
					p.send(wireFrame{kind: kindData | flagOpen, stream: 1, data: []byte("x")})
					st := accept(t, p.session)
					before := b.Used()
					st.Hold(1000)
					switch how {
					case "reset by the other end":
						p.send(wireFrame{kind: kindReset, stream: 1})
					case "of a session that ended":
						p.session.Close(nil)
						before = 1 + pieceCost
					}
					p.sleep(time.Second)
					if got := b.Used() - before; got < 1000-1-pieceCost || got > 1000+itemCost {
						t.Errorf("%d bytes are counted", got)
					}
					end(st)
					st.Hold(1000) // of a closed stream: nothing
					p.sleep(time.Second)
					p.session.Close(nil)
					wantNothingHeld(t, b)
				})
			})
		}
	}
}

// TestHoldEvicts: a stream whose user holds most is reset, and counts until
// the user has closed it.
func TestHoldEvicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(budget.Limits{Total: 100 << 10})
		p := newPeerIn(t, dials, b)
		var streams []*Stream
		for i, n := range []int{30 << 10, 40 << 10, 20 << 10} {
			p.send(wireFrame{kind: kindData | flagOpen, stream: uint64(i)<<1 | 1, data: []byte("x")})
			st := accept(t, p.session)
			st.Hold(n)
			streams = append(streams, st)
		}
		p.send(wireFrame{kind: kindData, stream: 1, number: 1, data: []byte("y")})
		p.sleep(time.Second)
		for i, want := range []error{nil, ErrReset, nil} {
			if _, err := streams[i].Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("stream %d: %v; want %v", i, err, want)
			}
		}
		if b.Evicted() != 1 {
			t.Errorf("%d were evicted", b.Evicted())
		}
		before := b.Used()
		if streams[1].Hold(1000); b.Used() != before {
			t.Errorf("a stream that was reset counts %d bytes more", b.Used()-before)
		}
		for _, st := range streams {
			st.Close()
		}
		p.session.Close(nil)
		wantNothingHeld(t, b)
	})
}

// TestHoldReset: a stream that the other end has reset counts until its user is
// done with it. It is not evicted once more, which would make it count nothing.
func TestHoldReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(budget.Limits{Total: 120 << 10})
		p := newPeerIn(t, dials, b)
		p.send(wireFrame{kind: kindData | flagOpen, stream: 1, data: []byte("x")})
		gone := accept(t, p.session)
		gone.Hold(60 << 10)
		p.send(wireFrame{kind: kindReset, stream: 1}, wireFrame{kind: kindData | flagOpen, stream: 3, data: []byte("y")})
		p.sleep(time.Second)
		other := accept(t, p.session)
		other.Hold(50 << 10)
		p.send(wireFrame{kind: kindData | flagOpen, stream: 5, data: []byte("z")})
		p.sleep(time.Second)
		if _, err := other.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
			t.Errorf("the other stream: %v; want ErrReset", err)
		}
		if used := b.Used(); used < 60<<10 {
			t.Errorf("%d bytes are counted", used)
		}
		gone.Close()
		other.Close()
		p.session.Close(nil)
		wantNothingHeld(t, b)
	})
}

// TestHoldOver: what the user of a stream holds that is over at both ends counts
// too, and makes it give way.
func TestHoldOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(budget.Limits{Total: 100 << 10})
		p := newPeerIn(t, dials, b)
		p.send(wireFrame{kind: kindData | flagOpen | flagFin, stream: 1, data: []byte("x")})
		st := accept(t, p.session)
		if _, err := io.ReadAll(st); err != nil {
			t.Fatal(err)
		}
		st.CloseWrite()
		p.sleep(time.Second)
		if n := p.session.Stats().Streams; n != 0 {
			t.Fatalf("%d streams are open", n)
		}
		st.Hold(99 << 10)
		p.send(wireFrame{kind: kindData | flagOpen, stream: 3, data: []byte("y")})
		other := accept(t, p.session)
		p.sleep(time.Second)
		if err := p.session.Err(); err != nil || b.Used() > 50<<10 {
			t.Errorf("it holds %d bytes, %v", b.Used(), err)
		}
		if _, err := other.Read(make([]byte, 1)); err != nil {
			t.Errorf("another stream: %v", err)
		}
		other.Close()
		st.Close()
		p.session.Close(nil)
		wantNothingHeld(t, b)
	})
}

// TestTightCredit: a session beyond half of its limit keeps little credit ahead
// of what is read, and grows again afterwards.
func TestTightCredit(t *testing.T) {
	for name, most := range map[string]int64{"memory is free": 64 << 20, "memory is short": 100 << 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := budget.New(budget.Limits{Key: most})
				wires := overWires(10 * time.Millisecond)
				wires.open()
				wires.acceptor.Budget = b
				agent, relay := wires.sessions(t)
				wide := int64(0)
				near, far := pair(t, agent, relay)
				if most < 1<<20 {
					far.Hold(60 << 10)
				}
				want := random(3_000_000, 1)
				go func() {
					near.Write(want)
					near.CloseWrite()
				}()
				var got bytes.Buffer
				for buf := make([]byte, 10_000); ; {
					n, err := far.Read(buf)
					got.Write(buf[:n])
					relay.mu.Lock()
					wide = max(wide, int64(far.window))
					relay.mu.Unlock()
					if err != nil {
						break
					}
				}
				if !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%d bytes came", got.Len())
				}
				if most < 1<<20 && wide > tightWindow || most > 1<<20 && wide < 1<<20 {
					t.Errorf("the window was %d", wide)
				}
				near.Close()
				far.Close()
				time.Sleep(time.Minute)
				wantQuiet(t, agent, relay)
			})
		})
	}
}

// TestStalledAgents is the attack on a relay: sessions of many keys whose
// streams bring bytes that no one reads. The heap stays below the budget, and
// a legitimate session works on.
func TestStalledAgents(t *testing.T) {
	const most = 32 << 20
	b := budget.New(budget.Shared(most))
	n := &network{t: t}
	n.open()
	n.established = make(chan *Session, 100)
	n.acceptor.Budget = b
	n.acceptor.Established = func(s *Session) { n.established <- s }
	before := memory()
	var attackers []*Session
	for i := range 40 {
		agent, _, err := Dial(t.Context(), Config{Key: keyOf(fmt.Sprint("attacker", i)), Dial: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		<-n.established
		attackers = append(attackers, agent)
		for range 200 {
			st, err := agent.Open([]byte(ControlHead))
			if err != nil {
				break // evicted
			}
			_ = st.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err = st.Write(make([]byte, ControlCredit)); err != nil {
				break
			}
		}
		if used := b.Used(); used > most+most/8 {
			t.Fatalf("the budget has %d bytes", used)
		}
	}
	if held := memory(); held > before+3*most { // the attackers' own memory is in it
		t.Errorf("the heap grew by %d MB", (held-before)>>20)
	}
	agent, _, err := Dial(t.Context(), Config{Key: keyOf("legitimate"), Dial: n.dial})
	if err != nil {
		t.Fatal(err)
	}
	relay := <-n.established
	echo(t, agent)
	for i := range 50 {
		roundTrip(t, relay, random(100_000, byte(i)))
	}
	for _, s := range append(attackers, agent) {
		s.Close(nil)
	}
	relay.Close(nil)
	n.group.Wait()
	for deadline := time.Now().Add(10 * time.Second); b.Accounts() > 0 && time.Now().Before(deadline); runtime.Gosched() {
	}
	wantNothingHeld(t, b)
}

// admitAll is an Acceptor's Admit.
func admitAll(context.Context, ed25519.PublicKey, []byte, net.Addr) ([]byte, error) { return nil, nil }
