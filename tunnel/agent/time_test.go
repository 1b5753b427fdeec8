package agent

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// flying runs an agent in the air; nothing listens there when r is nil.
func flying(t *testing.T, a *air, opts Options) *running {
	t.Helper()
	run := &running{t: t, states: make(chan State, 10_000), ended: make(chan error, 1)}
	opts.Notify = func(s State) { run.states <- s }
	run.Agent = New(opts)
	run.dialer.dial, run.machine = a.dial, a.machine()
	run.begin()
	return run
}

// TestNoticesADeadPath measures how long it takes to find out.
func TestNoticesADeadPath(t *testing.T) {
	for name, test := range map[string]struct {
		happens       func(*air)
		least, atMost time.Duration
	}{
		"by silence": {func(*air) {}, 10 * time.Second, 40 * time.Second},
		"by a sleep": {func(a *air) { a.jumped.Store(int64(time.Hour)) }, 2 * time.Second, 5 * time.Second},
		"by a move":  {func(a *air) { a.moved.Store(true) }, 2 * time.Second, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				air := &air{}
				r := newRelay(t).start(air.listen())
				a := flying(t, air, optionsFor(r))
				a.until(Up)
				r.session()
				time.Sleep(10 * time.Second)
				air.silent.Store(true)
				test.happens(air)
				from := time.Now()
				a.until(Resuming)
				if took := time.Since(from); took < test.least || took > test.atMost {
					t.Errorf("it took %v, want between %v and %v", took, test.least, test.atMost)
				}
				air.silent.Store(false)
				if up := a.until(Up); up.Lanes == 0 || up.Grant.Domain != relayName {
					t.Errorf("up again as %+v", up)
				}
				select {
				case s := <-r.sessions:
					t.Errorf("another session was opened: %v", s)
				default:
				}
			})
		})
	}
}

// TestQuietNetwork probes nothing while nothing happens.
func TestQuietNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		air := &air{}
		r := newRelay(t).start(air.listen())
		a := flying(t, air, optionsFor(r))
		a.until(Up)
		time.Sleep(10 * time.Minute)
		if len(a.states) > 0 {
			t.Errorf("notified of %+v", <-a.states)
		}
	})
}

// TestBackoff is how often a relay is tried that is not there.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		air := &air{}
		a := flying(t, air, Options{Relay: relayName, Key: keyOf("folder")})
		from := time.Now()
		var most time.Duration
		for n := 0; time.Since(from) < 10*time.Minute; n++ {
			s := a.until(Waiting)
			limit := min(firstPause<<min(max(n-1, 0), 20), longestPause)
			if time.Since(from) < hurriedFor {
				limit = min(limit, hurriedPause)
			}
			if s.Retry > limit || n > 0 && s.Retry < limit/2 || !isReason(s.Err, ReasonRefused) {
				t.Errorf("after %v and %d attempts: %v of at most %v, %v", time.Since(from), n, s.Retry, limit, s.Err)
			}
			most = max(most, s.Retry)
		}
		if most <= longestPause/2 {
			t.Errorf("the longest pause was %v", most)
		}

		// Another network is a reason to try at once.
		a.until(Waiting)
		for s := a.until(Waiting); s.Retry < 10*time.Second; s = a.until(Waiting) {
		}
		air.moved.Store(true)
		from = time.Now()
		a.until(Connecting)
		if took := time.Since(from); took > 3*time.Second {
			t.Errorf("the next attempt came after %v", took)
		}
	})
}

// TestBackAfterRestart: a relay that was killed has its agents back within 2 s.
func TestBackAfterRestart(t *testing.T) {
	for _, away := range []time.Duration{time.Millisecond, 3 * time.Second, 20 * time.Second, 50 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				air := &air{}
				r := newRelay(t).start(air.listen())
				a := flying(t, air, optionsFor(r))
				a.until(Up)
				air.crash()
				r.kill()
				time.Sleep(away)
				next := newRelay(t)
				next.ca, next.cert = r.ca, r.cert
				next.start(air.listen())
				from := time.Now()
				next.session()
				if took := time.Since(from); took > 2*time.Second {
					t.Errorf("away for %v, it was back after %v", away, took)
				}
			})
		})
	}
}

// TestRelayThatDrainsAtOnce: such a relay does not get attempts without a pause.
func TestRelayThatDrainsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		air := &air{}
		r := newRelay(t).start(air.listen())
		a := flying(t, air, optionsFor(r))
		sessions := 0
		end := time.After(time.Minute)
		for done := false; !done; {
			select {
			case s := <-r.sessions:
				sessions++
				s.Drain()
			case <-end:
				done = true
			}
		}
		if sessions < 10 || sessions > 130 {
			t.Errorf("%d sessions in a minute", sessions)
		}
		a.cancel()
		within(t, a.ended)
	})
}

// TestBlockedPort reports the timeout as one.
func TestBlockedPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		air := &air{}
		air.silent.Store(true)
		from := time.Now()
		a := flying(t, air, Options{Relay: relayName, Key: keyOf("folder")})
		wants(t, a.until(Waiting).Err, ReasonBlocked, "no answer within 10s", "set HTTPS_PROXY")
		if took := time.Since(from); took != connectTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// TestHandshakeThatHangs ends, and with the WebSocket's too.
func TestHandshakeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		air := &air{}
		ln := air.listen()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				go func() {
					var b [4096]byte
					for err == nil {
						_, err = c.Read(b[:])
					}
				}()
			}
		}()
		defer ln.Close()
		a := flying(t, air, Options{Relay: relayName, Key: keyOf("folder")})
		from := time.Now()
		wants(t, a.until(Waiting).Err, ReasonBroken, "no answer to the TLS handshake within 10s", "tries again")
		if took := time.Since(from); took != 2*shakeTimeout {
			t.Errorf("it took %v", took)
		}
		a.cancel()
		within(t, a.ended)
	})
}

// TestProxyThatHangs is bounded too.
func TestProxyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := newDialer(Options{Relay: relayName, Getenv: env{"HTTPS_PROXY": "http://proxy.example:3128"}.get})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			var b [4096]byte
			for err := error(nil); err == nil; {
				_, err = far.Read(b[:])
			}
		}()
		d.dial = func(context.Context, string, string) (net.Conn, error) { return near, nil }
		from := time.Now()
		_, err = d.lane(t.Context())
		wants(t, err, ReasonProxy, "no answer within 10s", "check HTTPS_PROXY")
		if took := time.Since(from); took != connectTimeout || !errors.Is(err, context.DeadlineExceeded) && err == nil {
			t.Errorf("it took %v", took)
		}
	})
}

// TestWebIsForgotten tries the plain way again after a while.
func TestWebIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := newDialer(Options{Relay: relayName})
		if err != nil {
			t.Fatal(err)
		}
		d.remember(true)
		time.Sleep(webFor - time.Second)
		if !d.prefersWeb() {
			t.Error("forgotten too early")
		}
		time.Sleep(time.Second)
		if d.prefersWeb() {
			t.Error("not forgotten")
		}
	})
}
