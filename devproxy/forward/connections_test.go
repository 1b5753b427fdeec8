package forward

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// fakeRequest is one request over connections, without a server.
type fakeRequest struct {
	s *connections
	*attempt
	c *watchedConn
}

// newRequest opens a connection for a request and uses it.
func newRequest(t *testing.T, s *connections) *fakeRequest {
	t.Helper()
	r := &fakeRequest{s: s, attempt: &attempt{member: &member{}}}
	d, err := s.admit(t.Context(), &r.claim, true)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	r.c = newWatchedConn(ours, s, d, time.Now())
	s.take(r.c, r.attempt)
	return r
}

// again uses c, which is idle, for another request.
func again(s *connections, c *watchedConn) *fakeRequest {
	r := &fakeRequest{s: s, attempt: &attempt{member: &member{}}, c: c}
	s.take(c, r.attempt)
	return r
}

// answer answers the request, after which its connection is idle.
func (r *fakeRequest) answer() *watchedConn {
	r.s.answered(&r.claim)
	r.s.put(r.c, r.attempt)
	return r.c
}

func stillOpen(conns ...*watchedConn) (n int) {
	for _, c := range conns {
		c.mu.Lock()
		n += boolToInt(!c.closed)
		c.mu.Unlock()
	}
	return n
}

// TestAWaitingRequestClosesOne: a request that waits on a new connection closes
// one idle connection when its patience ends, and another only after it has
// waited for twice as long.
func TestAWaitingRequestClosesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		first, second := newRequest(t, s), newRequest(t, s)
		idle := []*watchedConn{first.answer(), second.answer()}
		start := time.Now()
		waiting := newRequest(t, s)
		time.Sleep(minPatience - 1)
		synctest.Wait()
		if n := stillOpen(idle...); n != 2 {
			t.Errorf("%d are left after %v", n, time.Since(start))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := stillOpen(idle...); n != 1 || stillOpen(idle[0]) != 0 {
			t.Errorf("%d are left after %v; the longest idle is to be closed", n, time.Since(start))
		}
		time.Sleep(minPatience - 1)
		synctest.Wait()
		if n := stillOpen(idle...); n != 1 {
			t.Errorf("%d are left after %v", n, time.Since(start))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := stillOpen(idle...); n != 0 {
			t.Errorf("%d are left after %v", n, time.Since(start))
		}
		s.end(&waiting.claim)
	})
}

// TestAServedRequestGivesBack: when another request gets the thread, the one that
// has freed it may free one more.
func TestAServedRequestGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		idle := newRequest(t, s).answer()
		patient, lucky := newRequest(t, s), newRequest(t, s)
		time.Sleep(minPatience)
		synctest.Wait()
		if stillOpen(idle) != 0 {
			t.Fatal("the idle connection is open")
		}
		c := lucky.answer()
		time.Sleep(minIdle)
		synctest.Wait()
		if stillOpen(c) != 0 {
			t.Error("the request that waits has closed one for another, and may not close that one's")
		}
		patient.answer()
	})
}

// TestAWaitingRequestTakesWhatComesFree: one whose patience has ended closes
// the next connection that becomes idle, unless it is used at once.
func TestAWaitingRequestTakesWhatComesFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		busy := newRequest(t, s)
		waiting := newRequest(t, s)
		time.Sleep(time.Second)
		c := busy.answer()
		for range 5 {
			time.Sleep(minIdle - 1)
			again(s, c).answer()
		}
		synctest.Wait()
		if stillOpen(c) != 1 {
			t.Fatal("a connection that is in use was closed")
		}
		time.Sleep(minIdle)
		synctest.Wait()
		if stillOpen(c) != 0 {
			t.Error("the idle connection is open")
		}
		s.end(&waiting.claim)
	})
}

// TestAServerThatServesSoManyIsGivenTime: when a server has served as many
// connections, a request that takes long is not waiting for a thread.
func TestAServerThatServesSoManyIsGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		first, second := newRequest(t, s), newRequest(t, s)
		c, other := first.answer(), second.answer()
		other.Close()
		waiting := newRequest(t, s)
		time.Sleep(maxPatience - 1)
		synctest.Wait()
		if stillOpen(c) != 1 {
			t.Error("an idle connection was closed although the server has served two")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if stillOpen(c) != 0 {
			t.Error("the request waits although the server serves fewer now")
		}
		waiting.answer()
		if s.capacity != 1 {
			t.Errorf("the server is taken to serve %d", s.capacity)
		}
	})
}

// TestSpareConnectionsAreClosed: what was opened and not used keeps no request
// waiting.
func TestSpareConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		spare := newRequest(t, s)
		s.end(&spare.claim)
		spare.c.user = nil
		s.put(spare.c, nil)
		waiting := newRequest(t, s)
		time.Sleep(minPatience)
		synctest.Wait()
		if stillOpen(spare.c) != 0 {
			t.Error("it is open although a request waits")
		}
		if !waiting.claim.closed.IsZero() {
			t.Error("it counts for the request that waits")
		}
		used := waiting.answer()
		spare = newRequest(t, s)
		s.end(&spare.claim)
		spare.c.user = nil
		s.put(spare.c, nil)
		time.Sleep(maxPatience - 1)
		synctest.Wait()
		if stillOpen(spare.c) != 1 {
			t.Error("it was closed at once although nothing waits")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if stillOpen(spare.c) != 0 {
			t.Error("it is kept for long")
		}
		spare = newRequest(t, s)
		s.end(&spare.claim)
		spare.c.user = nil
		s.put(spare.c, nil)
		again(s, used)
		time.Sleep(minPatience)
		synctest.Wait()
		if stillOpen(spare.c) != 0 {
			t.Error("it is open although a request waits on a connection that has carried an answer")
		}
	})
}

// TestRoomForARequestOfItsOwn: a request that uses no idle connection closes one,
// unless the server has served one more.
func TestRoomForARequestOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		c := newRequest(t, s).answer()
		s.makeRoom(&claim{})
		if stillOpen(c) != 0 || s.open != 0 {
			t.Error("the idle connection is open")
		}
		s.makeRoom(&claim{})
		first, second := newRequest(t, s), newRequest(t, s)
		kept, other := first.answer(), second.answer()
		other.Close()
		s.makeRoom(&claim{})
		if stillOpen(kept) != 1 {
			t.Error("it was closed although the server has served two")
		}
	})
}

// TestOpenings: maxOpening connections are opened at once. Further requests wait
// for one that comes free, or until the others are slow.
func TestOpenings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{lastByte: time.Now()}
		var first []*fakeRequest
		for range maxOpening {
			first = append(first, newRequest(t, s))
		}
		start, through := time.Now(), make(chan time.Duration, 100)
		wait := func(by *claim) (cancel func(), err chan error) {
			ctx, cancel := context.WithCancel(t.Context())
			err = make(chan error, 1)
			go func() {
				_, e := s.admit(ctx, by, true)
				through <- time.Since(start)
				err <- e
			}()
			synctest.Wait()
			return cancel, err
		}
		cancel, err := wait(&claim{})
		cancel()
		if e := <-err; !errors.Is(e, context.Canceled) || <-through != 0 {
			t.Errorf("a request that left: %v", e)
		}
		// A request that gets a free connection opens none.
		served := &attempt{member: &member{}}
		_, err = wait(&served.claim)
		s.take(first[0].answer(), served)
		if e := <-err; !errors.Is(e, errUnneeded) || <-through != 0 {
			t.Errorf("a request that has got another connection: %v", e)
		}
		if _, e := s.admit(t.Context(), &served.claim, true); !errors.Is(e, errUnneeded) {
			t.Errorf("and a dial for it that comes late: %v", e)
		}
		if _, e := s.admit(t.Context(), &claim{}, true); e != nil { // in place of first[0]
			t.Error(e)
		}
		served.claim.using.Close()
		for range 4 * maxOpening {
			wait(&claim{})
		}
		synctest.Wait()
		if len(through) != 0 {
			t.Errorf("%d are let through at once", len(through))
		}
		for _, want := range []int{maxOpening, 3 * maxOpening, 4 * maxOpening} {
			time.Sleep(openingTime)
			synctest.Wait()
			if len(through) != want {
				t.Errorf("%d are let through after %v of silence; want %d", len(through), time.Since(start), want)
			}
		}
	})
}

// TestABusyServerIsNotSilent: a server with one thread, which answers as often as an
// answer usually takes, is asked on no more connections.
func TestABusyServerIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const usual = 2 * openingTime
		s := &connections{usualAnswer: usual, lastByte: time.Now()}
		for range maxOpening {
			newRequest(t, s)
		}
		start := time.Now()
		if _, err := s.admit(t.Context(), &claim{}, true); err != nil || time.Since(start) != 2*usual {
			t.Errorf("one more after %v: %v", time.Since(start), err)
		}
	})
}

// TestStreamsFillNoPool: WebSockets and event streams do not count as connections that
// the pool keeps, until they end.
func TestStreamsFillNoPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		var streams []*fakeRequest
		for range 2 * maxIdle {
			start := time.Now()
			r := newRequest(t, s)
			if took := time.Since(start); took > 0 {
				t.Fatalf("stream %d is opened after %v", len(streams)+1, took)
			}
			s.answered(&r.claim)
			s.beginStream(r.c)
			streams = append(streams, r)
		}
		if s.streams != 2*maxIdle {
			t.Errorf("%d streams are counted", s.streams)
		}
		for _, r := range streams[:maxIdle] {
			s.put(r.c, r.attempt)
		}
		for _, r := range streams[maxIdle:] {
			r.c.Close()
		}
		if s.streams != 0 || s.open != maxIdle {
			t.Errorf("after their end, %d streams of %d connections are counted", s.streams, s.open)
		}
	})
}

// TestAFullPoolOpensNoMore: a server that answers is not asked on more connections
// than can be kept; one that has answered nothing for a while is.
func TestAFullPoolOpensNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &connections{}
		var busy []*fakeRequest
		for range maxIdle {
			r := newRequest(t, s)
			s.leave(r.c.dialling) // as after an answer
			busy = append(busy, r)
		}
		busy[0].answer()
		again(s, busy[0].c)
		start := time.Now()
		if _, err := s.admit(t.Context(), &claim{}, true); err != nil || time.Since(start) != lastingTime {
			t.Errorf("one more after %v: %v", time.Since(start), err)
		}
		// Connections that wait for an answer for long no longer count.
		for _, r := range busy[1:] {
			r.c.dialling.since = time.Now().Add(-lastingTime)
			s.opening.add(r.c.dialling)
		}
		again(s, busy[0].c).answer()
		start = time.Now()
		if _, err := s.admit(t.Context(), &claim{}, true); err != nil || time.Since(start) != 0 {
			t.Errorf("one more after %v: %v", time.Since(start), err)
		}
	})
}
