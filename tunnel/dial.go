package tunnel

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// Config configures the dialling end of a session.
type Config struct {
	// Key is the key that the lanes prove.
	Key ed25519.PrivateKey
	// Dial makes one lane. It is called whenever the session needs one, by up
	// to MaxLanes goroutines at once, and with jittered backoff while it fails.
	Dial func(ctx context.Context) (Lane, error)
	// Hello is the opaque payload of a new session, at most MaxPayload bytes.
	Hello []byte
	// Budget bounds what the session holds, with others that share it; nil
	// means 256 MiB for this session alone.
	Budget *budget.Budget
	// Log receives details for debugging; nil discards them.
	Log *slog.Logger
}

// Dial opens a session: it dials the first lane and proves the key. The answer
// is the one that the accepting end's Admit returned. The session dials further
// lanes itself, and again when lanes are lost, until it ends. A *Refusal is the
// error when the other end refuses the session.
func Dial(ctx context.Context, cfg Config) (s *Session, answer []byte, err error) {
	if len(cfg.Hello) > MaxPayload {
		return nil, nil, fmt.Errorf("a hello of %d bytes; at most %d are allowed", len(cfg.Hello), MaxPayload)
	}
	key := cfg.Key.Public().(ed25519.PublicKey)
	lane, w, rtt, err := dialLane(ctx, cfg, hello{key: key, payload: cfg.Hello})
	if err != nil {
		return nil, nil, err
	}
	s = newSession(w.session, key, cfg.Log, cfg.Budget, nil)
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.dialer = &dialer{session: s, cfg: cfg, life: life, stop: stop, hurried: make(chan struct{})}
	s.table.side = 1
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sched.path.rtt = rtt
	s.joinLocked(lane, w.lane)
	s.adjustLanesLocked()
	return s, w.payload, nil
}

// dialLane dials a connection and exchanges hello and welcome on it.
func dialLane(ctx context.Context, cfg Config, h hello) (lane Lane, w welcome, rtt time.Duration, err error) {
	if lane, err = cfg.Dial(ctx); err != nil {
		return lane, w, 0, err
	}
	start := time.Now()
	if w, err = shakeHands(ctx, lane.Conn, h.encode(cfg.Key, lane.Binding)); err != nil {
		lane.Conn.Close()
	}
	return lane, w, time.Since(start), err
}

// shakeHands sends hello and waits for the welcome, at most HandshakeTimeout.
func shakeHands(ctx context.Context, conn net.Conn, hello []byte) (welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	w, err := talk(conn, hello)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return w, fmt.Errorf("no welcome came in time: %w", context.Cause(ctx))
	case err != nil:
		return w, fmt.Errorf("the handshake broke off: %w", err)
	case w.refusal != nil:
		return w, w.refusal
	}
	return w, nil
}

func talk(conn net.Conn, hello []byte) (welcome, error) {
	if _, err := conn.Write(hello); err != nil {
		return welcome{}, err
	}
	return readWelcome(conn)
}

// dialer dials the lanes of a session. Its fields are guarded by the session's mutex,
// which its methods need, except join.
type dialer struct {
	session *Session
	cfg     Config
	life    context.Context
	stop    context.CancelFunc

	dialing int
	fails   int           // in a row
	hurried chan struct{} // closed to end the waiting of a backoff
}

// Backoff of lanes: from firstBackoff, doubled with every failure in a row, to
// urgentBackoff while the session has no lane at all, and to calmBackoff while
// it has one. Half of it is random.
const (
	firstBackoff  = 100 * time.Millisecond
	urgentBackoff = time.Second
	calmBackoff   = 15 * time.Second
	// quickDial bounds most attempts while streams wait: on a path that has just
	// come back a new attempt is faster than TCP's next retransmission. Every third
	// attempt gets patientDial, for paths that are slow and not broken.
	quickDial   = 2 * time.Second
	patientDial = 10 * time.Second
	// maxProbing is how many lanes are dialled at once while that fails.
	maxProbing = 2
)

// need dials until n lanes are being dialled.
func (d *dialer) need(n int, urgent bool) {
	if d.session.drains && !urgent {
		return // new lanes to a relay that was replaced lead to its successor
	}
	if d.fails > 0 {
		n = min(n, maxProbing)
	}
	for ; d.dialing < n; d.dialing++ {
		wait, patience := d.pace(urgent)
		hurried := d.hurried
		d.session.running.Go(func() { d.join(wait, patience, hurried) })
	}
}

// pace returns how long to wait before the next attempt, and how long it may take.
func (d *dialer) pace(urgent bool) (wait, patience time.Duration) {
	limit, patience := calmBackoff, patientDial
	if urgent {
		limit = urgentBackoff
		if d.fails%3 != 2 {
			patience = quickDial
		}
	}
	if d.fails == 0 {
		return 0, patience
	}
	wait = min(firstBackoff<<min(d.fails-1, 10), limit)
	return wait/2 + rand.N(wait/2), patience
}

// hurry ends the waiting of backoffs: something has changed.
func (d *dialer) hurry() {
	close(d.hurried)
	d.hurried = make(chan struct{})
	d.fails = 0
	d.session.adjustLanesLocked()
}

// join dials one lane and joins it to the session.
func (d *dialer) join(wait, patience time.Duration, hurried <-chan struct{}) {
	select {
	case <-time.After(wait):
	case <-hurried:
	case <-d.life.Done():
	}
	ctx, cancel := context.WithTimeout(d.life, patience)
	defer cancel()
	s := d.session
	lane, w, _, err := dialLane(ctx, d.cfg, hello{session: s.id, key: s.key})
	s.mu.Lock()
	defer s.mu.Unlock()
	d.dialing--
	switch {
	case s.ended && err == nil:
		lane.Conn.Close()
	case s.ended:
	case err != nil:
		d.failed(err)
	default:
		d.fails = 0
		s.joinLocked(lane, w.lane)
		s.replaceSlowLocked(time.Now())
		s.adjustLanesLocked()
	}
}

// failed counts a failure. A session that the other end no longer has ends with
// its last lane.
func (d *dialer) failed(err error) {
	s := d.session
	d.fails++
	s.log.Debug("lane not dialled", "error", err, "failures", d.fails)
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Code != CodeBusy && len(s.sched.lanes) == 0 {
		s.endLocked(refusal.asError(), nil)
		return
	}
	s.adjustLanesLocked()
}
