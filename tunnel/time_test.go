package tunnel

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// link40 is a session whose network has 40 ms each way.
func link40(t *testing.T) (n *network, agent, relay *Session) {
	n = overWires(40 * time.Millisecond)
	agent, relay = n.sessions(t)
	return n, agent, relay
}

// TestResume: without any lane a session waits 30 s, at both ends, and no
// longer; within them it continues as if nothing had been.
func TestResume(t *testing.T) {
	for _, down := range []time.Duration{time.Second, 28 * time.Second} {
		t.Run(down.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, agent, relay := link40(t)
				near, far := pair(t, relay, agent)
				n.cut()
				fmt.Fprint(near, "written while it was down")
				near.CloseWrite()
				fmt.Fprint(far, "there too")
				far.CloseWrite()
				start := time.Now()
				time.AfterFunc(down, n.repair)
				wantAll(t, far, "written while it was down", nil)
				wantAll(t, near, "there too", nil)
				if d := time.Since(start); d < down || d > down+urgentBackoff+200*time.Millisecond {
					t.Errorf("resumed after %v; want %v and little more", d, down)
				}
			})
		})
	}
}

func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, relay := link40(t)
		near, far := pair(t, relay, agent)
		n.cut()
		start := time.Now()
		for _, st := range []*Stream{near, far} {
			wantAll(t, st, "", ErrLost)
		}
		if d := time.Since(start); d != ResumeTimeout {
			t.Errorf("lost after %v; want %v", d, ResumeTimeout)
		}
		for _, s := range []*Session{agent, relay} {
			if <-s.Done(); !errors.Is(s.Err(), ErrLost) {
				t.Errorf("%v; want ErrLost", s.Err())
			}
		}
	})
}

// TestNoSession: an agent whose session is gone at the relay learns it with
// its first new lane.
func TestNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, relay := link40(t)
		n.cut()
		relay.Close(nil)
		time.Sleep(time.Second)
		n.repair()
		start := time.Now()
		<-agent.Done()
		var refusal *Refusal
		if !errors.As(agent.Err(), &refusal) || refusal.Code != CodeNoSession {
			t.Errorf("%v; want CodeNoSession", agent.Err())
		}
		if d := time.Since(start); d > urgentBackoff+200*time.Millisecond {
			t.Errorf("after %v", d)
		}
	})
}

// TestPing: the agent asks an idle lane for a sign of life every 15 s, and
// gives up one that shows none for 12 s.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, accepts)
		p.sleep(time.Hour)
		if got := len(p.seen(kindPing)); got < 239 || got > 240 {
			t.Errorf("%d pings in an hour; want one every 15 s", got)
		}
		if n := p.session.Stats().Lanes; n != 1 {
			t.Fatalf("%d lanes", n)
		}
		p.mu.Lock()
		p.mute = true
		p.mu.Unlock()
		start := time.Now()
		<-p.received
		if d := time.Since(start); d < silence || d > pingEvery+silence {
			t.Errorf("given up after %v; want %v to %v", d, silence, pingEvery+silence)
		}
	})
}

// TestPatience: a relay waits for pings, and closes a lane without any.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, dials)
		start := time.Now()
		<-p.received
		if d := time.Since(start); d != patience {
			t.Errorf("closed after %v; want %v", d, patience)
		}
		if got := p.seen(kindPing); len(got) != 0 {
			t.Errorf("it pinged: %v", got)
		}
		start = time.Now()
		<-p.session.Done()
		if d := time.Since(start); d != ResumeTimeout {
			t.Errorf("ended %v after its last lane; want %v", d, ResumeTimeout)
		}
	})
}

// TestSilence: a lane that owes an acknowledgement is given up after 12 s, by
// whichever end waits.
func TestSilence(t *testing.T) {
	for _, plays := range []side{dials, accepts} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, plays)
			p.mu.Lock()
			p.mute = true
			p.mu.Unlock()
			st, _ := p.session.Open(nil)
			fmt.Fprint(st, "unheard")
			start := time.Now()
			<-p.received
			if d := time.Since(start); d < silence || d > silence+100*time.Millisecond {
				t.Errorf("given up after %v; want %v", d, silence)
			}
		})
	}
}

// TestProbe: after Probe a dead lane is given up within 2 s, and a backoff is
// over at once.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, _ := link40(t)
		time.Sleep(time.Second)
		n.holdAll()
		agent.Probe()
		time.Sleep(probeTimeout - time.Millisecond)
		if got := agent.Stats().Lanes; got != 2 {
			t.Errorf("%d lanes shortly before; want 2", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got := agent.Stats().Lanes; got != 0 {
			t.Errorf("%d lanes after 2 s; want none", got)
		}
		n.cut()
		time.Sleep(20 * time.Second)
		n.repair()
		agent.Probe()
		time.Sleep(200 * time.Millisecond)
		if got := agent.Stats().Lanes; got == 0 {
			t.Error("no lane though the network is back and Probe said so")
		}
	})
}

func TestProbeOfLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, relay := link40(t)
		for _, s := range []*Session{agent, relay} {
			s.Probe()
			time.Sleep(time.Minute)
		}
		if n.dialled() != 2 {
			t.Errorf("%d lanes were dialled; want the first 2 alone", n.dialled())
		}
	})
}

// TestPace: attempts to dial wait twice as long after each failure, up to 1 s
// without any lane and 15 s with one, and half of it is left to chance.
func TestPace(t *testing.T) {
	for urgent, limit := range map[bool]time.Duration{true: urgentBackoff, false: calmBackoff} {
		want := firstBackoff
		for fails := range 40 {
			d := dialer{fails: fails}
			seen := map[time.Duration]bool{}
			for range 20 {
				wait, patience := d.pace(urgent)
				if fails == 0 && wait != 0 || fails > 0 && (wait < want/2 || wait >= want) {
					t.Errorf("urgent %t, %d failures: %v; want %v to %v", urgent, fails, wait, want/2, want)
				}
				if quick := urgent && fails%3 != 2; quick != (patience == quickDial) || !quick && patience != patientDial {
					t.Errorf("urgent %t, %d failures: %v for an attempt", urgent, fails, patience)
				}
				seen[wait] = true
			}
			if fails > 0 && len(seen) < 10 {
				t.Errorf("urgent %t, %d failures: only %d different waits", urgent, fails, len(seen))
			}
			if fails > 0 {
				want = min(2*want, limit)
			}
		}
	}
}

// TestDialsWhileDown: a relay that is down is not flooded with attempts.
func TestDialsWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, _ := link40(t)
		n.cut()
		<-agent.Done()
		if got := n.dialled(); got < 30 || got > 2+2*maxProbing*30 {
			t.Errorf("%d attempts in 30 s", got)
		}
	})
}

// TestHandshakeTimeout: neither end waits longer than 10 s for the other's
// first words, however slowly they come.
func TestHandshakeTimeout(t *testing.T) {
	silent := func(net.Conn) {}
	slow := func(c net.Conn) {
		for b := range slicesOf(helloOf("agent", sessionID{}, nil, bindingHere)) {
			if _, err := c.Write(b); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	for name, other := range map[string]func(net.Conn){"silent": silent, "slow": slow} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := wirePair(always(0), 0)
				var group sync.WaitGroup
				group.Go(func() { other(near) })
				start := time.Now()
				err := openAcceptor().Join(t.Context(), Lane{Conn: far, Binding: bindingHere})
				if err == nil || time.Since(start) != HandshakeTimeout {
					t.Errorf("join: %v after %v", err, time.Since(start))
				}
				group.Wait()
			})
			synctest.Test(t, func(t *testing.T) {
				near, far := wirePair(always(0), 0)
				var group sync.WaitGroup
				group.Go(func() { other(far) })
				start := time.Now()
				_, _, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: func(context.Context) (Lane, error) {
					return Lane{Conn: near, Binding: bindingHere}, nil
				}})
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != HandshakeTimeout {
					t.Errorf("dial: %v after %v", err, time.Since(start))
				}
				group.Wait()
			})
		})
	}
}

// slicesOf is every byte by itself.
func slicesOf(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range b {
			if !yield(b[i : i+1]) {
				return
			}
		}
	}
}

// TestDialCanceled: Dial waits no longer than its context.
func TestDialCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := wirePair(always(0), 0)
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		_, _, err := Dial(ctx, Config{Key: keyOf("agent"), Dial: func(context.Context) (Lane, error) {
			return Lane{Conn: near, Binding: bindingHere}, nil
		}})
		if !errors.Is(err, why) {
			t.Errorf("%v; want the context's cause", err)
		}
	})
}

// TestDrain: whichever end drains, no stream begins, none is cut off, and the
// session ends with the last.
func TestDrain(t *testing.T) {
	for name, drains := range map[string]func(agent, relay *Session) (first, second *Session){
		"the agent": func(agent, relay *Session) (first, second *Session) { return agent, relay },
		"the relay": func(agent, relay *Session) (first, second *Session) { return relay, agent },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, agent, relay *Session) {
				first, second := drains(agent, relay)
				near, far := pair(t, relay, agent)
				first.Drain()
				<-first.Draining()
				<-second.Draining()
				for _, s := range []*Session{first, second} {
					if _, err := s.Open(nil); !errors.Is(err, ErrDraining) {
						t.Errorf("Open: %v; want ErrDraining", err)
					}
					s.Drain()
				}
				time.Sleep(time.Hour)
				fmt.Fprint(near, "an hour later")
				near.CloseWrite()
				wantAll(t, far, "an hour later", nil)
				far.Close()
				wantAll(t, near, "", nil)
				near.Close()
				start := time.Now()
				for _, s := range []*Session{first, second} {
					if <-s.Done(); !errors.Is(s.Err(), ErrDrained) {
						t.Errorf("%v; want ErrDrained", s.Err())
					}
				}
				if d := time.Since(start); d > time.Second {
					t.Errorf("it ended %v after its last stream", d)
				}
			})
		})
	}
}

// TestDrainDelivers: the last bytes of a drained session's last stream arrive.
func TestDrainDelivers(t *testing.T) {
	inBubble(t, func(t *testing.T, agent, relay *Session) {
		near, far := pair(t, relay, agent)
		relay.Drain()
		want := string(random(200_000, 3))
		fmt.Fprint(near, want)
		near.Close()
		wantAll(t, far, want, nil)
		far.Close()
		<-relay.Done()
		<-agent.Done()
	})
}

// TestReplaced: the newest session of a key stands; the older ends at once, at
// both ends, unless it drains.
func TestReplaced(t *testing.T) {
	for _, drains := range []bool{false, true} {
		t.Run(fmt.Sprint("drains ", drains), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, agent, relay := link40(t)
				near, far := pair(t, relay, agent)
				if drains {
					relay.Drain()
				}
				second, _, err := Dial(t.Context(), Config{Key: keyOf("agent"), Dial: n.dial})
				if err != nil {
					t.Fatal(err)
				}
				newer := <-n.established
				defer newer.Close(nil)
				defer second.Close(nil)
				time.Sleep(time.Second)
				for _, s := range []*Session{agent, relay} {
					if err := s.Err(); drains != (err == nil) || !drains && !errors.Is(err, ErrReplaced) {
						t.Errorf("the older session: %v", err)
					}
				}
				if drains {
					fmt.Fprint(near, "goes on")
					near.Close()
					wantAll(t, far, "goes on", nil)
					far.Close()
					<-agent.Done()
					<-relay.Done()
				}
				st, err := newer.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(st, "x")
				st.Close()
				got := accept(t, second)
				wantAll(t, got, "x", nil)
				got.Close()
				if err := errors.Join(newer.Err(), second.Err()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLaneCounts: 2 to begin with, 16 for a long message and for 30 s after, 1
// when idle, and with the next stream 8 for a visit and 2 otherwise.
func TestLaneCounts(t *testing.T) {
	for name, c := range map[string]struct {
		ends func(agent, relay *Session) (from, to *Session)
		want int // with a stream again
	}{
		"a stream of the relay": {func(agent, relay *Session) (from, to *Session) { return relay, agent }, visitLanes},
		"a stream of the agent": {func(agent, relay *Session) (from, to *Session) { return agent, relay }, firstLanes},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{pipe: func() (near, far net.Conn) { return wirePair(always(40*time.Millisecond), 1_000_000) }}
				agent, relay := n.sessions(t)
				lanes := func(want int, when string) {
					t.Helper()
					if a, r := agent.Stats().Lanes, relay.Stats().Lanes; a != want || r != want {
						t.Errorf("%s: %d and %d lanes; want %d", when, a, r, want)
					}
				}
				time.Sleep(time.Second)
				lanes(firstLanes, "to begin with")
				from, to := c.ends(agent, relay)
				near, far := pair(t, from, to)
				go near.Write(make([]byte, 10_000_000))
				io.ReadFull(far, make([]byte, 10_000_000))
				lanes(longLanes, "after a long message")
				time.Sleep(longMemory - 2*time.Second)
				lanes(longLanes, "28 s later")
				time.Sleep(20 * time.Second)
				lanes(firstLanes, "48 s later")
				near.Close()
				far.Close()
				time.Sleep(idleAfter + 20*time.Second)
				lanes(idleLanes, "idle")
				near, far = pair(t, from, to)
				time.Sleep(20 * time.Second)
				lanes(c.want, "with a stream again")
				near.Close()
				far.Close()
			})
		})
	}
}

// TestHeldLane: what lies on a lane that falls silent goes over another long
// before that one is given up; and it is given up at both ends at once.
func TestHeldLane(t *testing.T) {
	for _, held := range []int{0, 1} {
		t.Run(fmt.Sprint("lane ", held+1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, agent, relay := link40(t)
				time.Sleep(time.Second)
				echoBubble(agent)
				n.conn(2 * held).hold(true)
				for _, size := range []int{1, 1000, 100_000} {
					start := time.Now()
					roundTrip(t, relay, random(size, 1))
					if d := time.Since(start); d > 2*time.Second {
						t.Errorf("%d bytes: %v", size, d)
					}
				}
				time.Sleep(silence)
				if a, r := agent.Stats().Lanes, relay.Stats().Lanes; a < 2 || r < 2 {
					t.Errorf("%d and %d lanes work; want 2 at least", a, r)
				}
			})
		})
	}
}

// echoBubble answers every stream of a session that ends with its test.
func echoBubble(s *Session) {
	go func() {
		for {
			st, err := s.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(struct{ io.Writer }{st}, struct{ io.Reader }{st})
				st.Close()
			}()
		}
	}()
}

// TestSwallowedAcks: acknowledgements that went down with a lane are asked for
// again, and the lanes that they were for are not given up.
func TestSwallowedAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, dials)
		p.mu.Lock()
		p.mute = true
		p.mu.Unlock()
		st, _ := p.session.Open(nil)
		fmt.Fprint(st, "x")
		p.sleep(firstStuck + 500*time.Millisecond)
		if got := p.seen(kindPing); len(got) == 0 {
			t.Error("no ping though an acknowledgement is due")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, dials)
		p.send(wireFrame{kind: kindData | flagOpen, stream: 1, data: []byte("x")})
		p.sleep(time.Second)
		p.send(wireFrame{kind: kindPing, number: 5})
		p.sleep(time.Second)
		if acks, pongs := p.seen(kindAck), p.seen(kindPong); len(acks) != 1 || acks[0].number != 1 || len(pongs) != 1 || pongs[0].number != 5 {
			t.Errorf("acknowledged %v, answered %v", acks, pongs)
		}
	})
}

// TestLaneNumbers: after 65,535 lanes the numbers start again, and none is
// in use twice.
func TestLaneNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, relay := link40(t)
		time.Sleep(time.Second)
		relay.mu.Lock()
		relay.numbered = 65535
		relay.mu.Unlock()
		got := []uint16{}
		for range 2 {
			number, err := relay.reserveLane()
			if err != nil {
				t.Error(err)
			}
			got = append(got, number)
		}
		if fmt.Sprint(got) != "[0 3]" {
			t.Errorf("the next lanes are %v; lanes 1 and 2 are in use", got)
		}
	})
}

// TestTooManyLanes: a session takes no lane beyond its bound, but for one that
// is in trouble.
func TestTooManyLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, relay := link40(t)
		time.Sleep(time.Second)
		key := keyOf("agent")
		join := func() (*wireConn, error) {
			near, far := wirePair(always(0), 0)
			go n.acceptor.Join(context.WithoutCancel(t.Context()), Lane{Conn: far, Binding: bindingHere})
			h := hello{session: relay.id, key: key.Public().(ed25519.PublicKey)}
			_, err := shakeHands(t.Context(), near, h.encode(key, bindingHere))
			return near, err
		}
		for range maxJoined - 2 {
			conn, err := join()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		var refusal *Refusal
		if _, err := join(); !errors.As(err, &refusal) || refusal.Code != CodeBusy {
			t.Errorf("one more: %v; want CodeBusy", err)
		}
		synctest.Wait() // the answer to a handshake is on its way before its lane is in use
		if got := relay.Stats().Lanes; got != maxJoined {
			t.Errorf("%d lanes; want %d", got, maxJoined)
		}
		_ = agent
	})
}

// TestGone: an end that loses a lane tells the other, which need not find out
// for itself.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, agent, relay := link40(t)
		time.Sleep(time.Second)
		echoBubble(agent)
		conn := n.conn(2)
		conn.hold(true)
		conn.in.set(func() { conn.in.dead = true })
		time.Sleep(100 * time.Millisecond)
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if relay.sched.lane(2) != nil || relay.sched.lane(1) == nil {
			t.Error("the relay does not know which lane the agent has lost")
		}
	})
}

// TestRetire: a lane that retires delivers what lies on it; nothing is sent twice.
func TestRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{pipe: func() (near, far net.Conn) { return wirePair(always(40*time.Millisecond), 1_000_000) }}
		agent, relay := n.sessions(t)
		time.Sleep(time.Second)
		near, far := pair(t, relay, agent)
		go func() {
			near.Write(random(250_000, 1))
			near.CloseWrite()
		}()
		time.Sleep(50 * time.Millisecond)
		agent.mu.Lock()
		agent.want.own, agent.want.other = 1, 1
		agent.retireLocked(agent.sched.lane(2), time.Now())
		agent.mu.Unlock()
		wantAll(t, far, string(random(250_000, 1)), nil)
		time.Sleep(time.Second)
		if st := relay.Stats(); st.Resent != 0 {
			t.Errorf("%d bytes were sent again", st.Resent)
		}
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if relay.sched.lane(2) != nil {
			t.Error("the lane is still there")
		}
	})
}

// TestBurden: a lane whose acknowledgements do not come is given no more of a
// long message, however much its buffers would take.
func TestBurden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, agent, _ := link40(t)
		time.Sleep(time.Second)
		agent.mu.Lock()
		defer agent.mu.Unlock()
		l, now := agent.sched.lane(2), time.Now()
		agent.sched.resend = []*item{{frame: wireFrame{kind: kindData, stream: 1}}}
		old := &item{frame: wireFrame{kind: kindData, stream: 1}, copies: 1}
		l.flights = []flight{{item: old, at: now.Add(-bulkPatience)}}
		if it := agent.sched.nextLong(l, now); it != nil {
			t.Errorf("it is given %+v", it.frame)
		}
		l.flights[0].at = now.Add(-bulkPatience / 2)
		if it := agent.sched.nextLong(l, now); it == nil {
			t.Error("it is given nothing, though it is not late yet")
		}
		agent.sched.resend, l.flights = nil, nil
	})
}
