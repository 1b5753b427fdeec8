package tunnel

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// Acceptor joins the lanes that agents dial into sessions. The zero value of
// its unexported fields is ready; it must not be copied.
type Acceptor struct {
	// Admit decides about a new session of key; hello is Config.Hello. The
	// answer, at most MaxPayload bytes, is handed to the agent. A *Refusal is
	// sent to it unchanged, any other error as CodeFailed.
	Admit func(ctx context.Context, key ed25519.PublicKey, hello []byte, from net.Addr) (answer []byte, err error)
	// Established is called once for every new session, before its first
	// frame; it must not block. An older session of the same key has ended
	// with ErrReplaced by then, unless it drains.
	Established func(s *Session)
	// Budget bounds what all sessions hold together, by the address of their
	// first lane and by their key; nil bounds each session to 256 MiB.
	Budget *budget.Budget
	// Log receives details for debugging; nil discards them.
	Log *slog.Logger

	mu       sync.Mutex
	sessions map[sessionID]*Session
	byKey    map[[ed25519.PublicKeySize]byte]*Session
}

// Join reads a lane's hello and joins it to its session. It returns when the
// handshake has ended, at most HandshakeTimeout later; the lane is closed when
// it failed.
func (a *Acceptor) Join(ctx context.Context, lane Lane) error {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { lane.Conn.Close() })
	err := a.join(ctx, lane)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		_ = lane.Conn.SetWriteDeadline(time.Now().Add(closeTimeout))
		_, _ = lane.Conn.Write(welcome{refusal: refusal}.encode()) // the agent may have disconnected
	}
	lane.Conn.Close()
	return fmt.Errorf("a lane from %v did not join: %w", lane.Conn.RemoteAddr(), err)
}

func (a *Acceptor) join(ctx context.Context, lane Lane) error {
	h, err := readHello(lane.Conn, lane.Binding)
	if err != nil {
		return err
	}
	if h.session != (sessionID{}) {
		return a.joinExisting(lane, h)
	}
	answer, err := a.Admit(ctx, h.key, h.payload, lane.Conn.RemoteAddr())
	if err != nil {
		if _, ok := errors.AsType[*Refusal](err); !ok {
			return &Refusal{CodeFailed, err.Error()}
		}
		return err
	}
	var id sessionID
	_, _ = rand.Read(id[:]) // never fails
	s := newSession(id, h.key, a.Log, a.Budget, lane.from())
	a.register(s)
	return s.welcomeLane(lane, answer)
}

// register makes s the session of its key.
func (a *Acceptor) register(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sessions == nil {
		a.sessions = map[sessionID]*Session{}
		a.byKey = map[[ed25519.PublicKeySize]byte]*Session{}
	}
	key := [ed25519.PublicKeySize]byte(s.key)
	if old := a.byKey[key]; old != nil {
		old.replaced()
	}
	s.onEnd = func() { s.running.Go(func() { a.remove(s) }) } // later: the session's mutex is held
	a.sessions[s.id], a.byKey[key] = s, s
	a.Established(s)
}

// replaced ends a session when a newer session of the same key begins. A
// draining session ends on its own.
func (s *Session) replaced() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.drains {
		s.endLocked(ErrReplaced, &Refusal{CodeReplaced, ErrReplaced.Error()})
	}
}

func (a *Acceptor) remove(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, s.id)
	if key := [ed25519.PublicKeySize]byte(s.key); a.byKey[key] == s {
		delete(a.byKey, key)
	}
}

// joinExisting joins one more lane to a session.
func (a *Acceptor) joinExisting(lane Lane, h hello) error {
	a.mu.Lock()
	s := a.sessions[h.session]
	a.mu.Unlock()
	if s == nil || !s.key.Equal(h.key) {
		return &Refusal{CodeNoSession, "the session no longer exists"}
	}
	return s.welcomeLane(lane, nil)
}

// welcomeLane answers a hello and makes the connection a lane of s.
func (s *Session) welcomeLane(lane Lane, answer []byte) error {
	number, err := s.reserveLane()
	if err != nil {
		return err
	}
	_, err = lane.Conn.Write(welcome{session: s.id, lane: number, payload: answer}.encode())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joining--
	if err != nil {
		return fmt.Errorf("cannot answer: %w", err)
	}
	if s.ended {
		// After a welcome the agent reads frames.
		last := cmp.Or(s.reason, &Refusal{Code: codeClosed}).frame()
		_, _ = lane.Conn.Write(last.append(nil))
		return errors.New("its session has ended: " + s.err.Error()) // not wrapped: a *Refusal would be answered
	}
	s.joinLocked(lane, number)
	return nil
}

// reserveLane returns the number of the next lane, which counts from here on. A full
// session gives up its worst lane, if that is in trouble.
func (s *Session) reserveLane() (uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, &Refusal{CodeNoSession, "the session has ended"}
	}
	if len(s.sched.lanes)+s.joining >= maxJoined {
		worst := s.sched.longestInTrouble(time.Now())
		if worst == nil {
			return 0, &Refusal{CodeBusy, fmt.Sprintf("a session has at most %d lanes", maxJoined)}
		}
		s.dropLocked(worst, nil)
	}
	s.joining++
	s.numbered++
	for s.sched.lane(uint64(s.numbered)) != nil { // after 65,535 lanes the numbers start again
		s.numbered++
	}
	return s.numbered, nil
}
