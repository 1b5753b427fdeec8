package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// controlTimeout bounds one exchange on a control stream.
	controlTimeout = 10 * time.Second
	// pendingFor is how long a granted claim waits for its session, which takes one
	// more round trip.
	pendingFor = time.Minute
	// agentPath, on the domain itself, is where agents open a WebSocket when their
	// network lets only HTTPS pass.
	agentPath = "/.well-known/devproxy/agent"
)

// agents admits agents, and serves their sessions.
type agents struct {
	relay    *Relay
	acceptor *tunnel.Acceptor

	mu       sync.Mutex
	pending  map[Key]pendingClaim
	sessions map[Key][]*share // oldest first
}

// pendingClaim is a granted claim whose session is not established yet.
type pendingClaim struct {
	claimed *claimed
	from    *network
	at      time.Time
}

func newAgents(r *Relay) *agents {
	a := &agents{relay: r, pending: map[Key]pendingClaim{}, sessions: map[Key][]*share{}}
	a.acceptor = &tunnel.Acceptor{Admit: a.admit, Established: a.established, Budget: r.memory, Log: r.log}
	return a
}

// greet makes an agent's connection a lane.
func (a *agents) greet(c *conn, secure *tls.Conn) {
	a.relay.metrics.handshakes.WithLabelValues("agent").Inc()
	binding, err := tunnel.Binding(secure.ConnectionState())
	if err != nil {
		a.relay.log.Info("lane refused", "from", c.addr, "error", err)
		c.Close()
		return
	}
	a.join(c, tunnel.Lane{Conn: secure, Binding: binding, TCP: c.tcp()})
}

// greetWebSocket makes a WebSocket a lane, for agents whose network lets only HTTPS
// pass.
func (a *agents) greetWebSocket(v *visit) {
	v.agentLane = true
	binding, err := tunnel.Binding(*v.r.TLS)
	if err != nil || v.r.Header.Get("Origin") != "" { // a browser is not an agent
		v.answer(errOnlyAgents)
		return
	}
	c, err := websocket.Accept(v.w, v.r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		v.status, v.fault = http.StatusBadRequest, err // Accept has answered
		return
	}
	v.status = http.StatusSwitchingProtocols
	v.closeAccount() // from now on, the lane's session counts
	lane := socketLane{websocket.NetConn(context.WithoutCancel(v.r.Context()), c, websocket.MessageBinary), c, v.conn.RemoteAddr()}
	a.join(v.conn, tunnel.Lane{Conn: lane, Binding: binding, TCP: v.conn.tcp()})
}

// socketLane is a lane in a WebSocket.
type socketLane struct {
	net.Conn
	socket *websocket.Conn
	remote net.Addr
}

// RemoteAddr implements net.Conn. It returns the agent's address, not the
// WebSocket's.
func (l socketLane) RemoteAddr() net.Addr { return l.remote }

// Close implements net.Conn. It does not wait for a close frame: the session has
// its own end.
func (l socketLane) Close() error { return l.socket.CloseNow() }

// join adds a lane to its session. Until then, the connection counts as in its
// handshake.
func (a *agents) join(c *conn, lane tunnel.Lane) {
	r := a.relay
	if lane.TCP != nil {
		tunnel.Tune(lane.TCP, r.opts.Congestion)
	}
	if err := a.acceptor.Join(r.life, lane); err != nil {
		if !errors.As(err, new(*loggedError)) {
			r.log.Info("lane refused", "from", c.addr, "error", err)
		}
		return
	}
	if !r.conns.promote(c, poolLanes) {
		r.tooMany("lanes", c.addr)
		lane.Conn.Close()
	}
}

// admit answers the hello of a new session, which contains a claim. It implements
// tunnel.Acceptor.Admit.
func (a *agents) admit(ctx context.Context, pub ed25519.PublicKey, hello []byte, from net.Addr) ([]byte, error) {
	answer, err := a.answerHello(ctx, pub, hello, addrOf(from).Addr())
	var refused *tunnel.Refusal
	switch {
	case errors.As(err, &refused) && refused.Code == tunnel.CodeReleased:
		err = &loggedError{err} // the agent's request
	case err != nil:
		err = &loggedError{a.refuse("agent refused", keyOf(pub), addrOf(from), err)}
	}
	return answer, err
}

// loggedError is a refusal that is in the log already.
type loggedError struct{ error }

func (e *loggedError) Unwrap() error { return e.error }

func (a *agents) answerHello(ctx context.Context, pub ed25519.PublicKey, hello []byte, addr netip.Addr) ([]byte, error) {
	r, key := a.relay, keyOf(pub)
	if r.leaving() {
		return nil, errLeaving
	}
	if !r.conns.hasRoomForAgent(addr) {
		return nil, errFull
	}
	var c tunnel.Claim
	if err := json.Unmarshal(hello, &c); err != nil {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "cannot read the claim; run the same version of devproxy at both ends"}
	}
	from := r.conns.network(addr)
	if err := r.keys.admit(ctx, key, c.Enrol, from); err != nil {
		return nil, err
	}
	if c.Release != "" {
		return nil, a.giveUp(ctx, key, from, c.Release)
	}
	granted, grant, err := a.grant(ctx, pub, from, c)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.pending[key] = pendingClaim{granted, from, time.Now()}
	a.mu.Unlock()
	return json.Marshal(grant)
}

// established takes over a new session. It implements
// tunnel.Acceptor.Established.
func (a *agents) established(session *tunnel.Session) {
	r := a.relay
	s := &share{
		key: keyOf(session.Key()), session: session,
		slots: newSlots(r.opts.Limits), claims: rate.NewLimiter(claimsPerSecond, claimsBurst), states: rate.NewLimiter(statesPerSecond, statesBurst),
		flows: rate.NewLimiter(newFlowsPerSecond, newFlowsBurst),
	}
	claim := a.add(s)
	if claim.claimed == nil { // two agents of one key connected at once: the other one has taken it
		claim.claimed, claim.from = &claimed{}, r.conns.network(netip.Addr{})
	}
	s.from = claim.from
	r.shares.put(s, claim.claimed)
	r.ports.assign(s, claim.claimed.ports)
	r.metrics.sessions.Inc()
	r.log.Info("agent connected", "key", s.key, "from", s.from.prefix, "hosts", len(claim.claimed.hosts))
	r.group.Go(func() { a.serve(s) })
}

// add adds a session to those of its key, and returns its pending claim. It ends
// the key's oldest session when there are too many.
func (a *agents) add(s *share) pendingClaim {
	a.mu.Lock()
	defer a.mu.Unlock()
	claim := a.pending[s.key]
	delete(a.pending, s.key)
	maps.DeleteFunc(a.pending, func(_ Key, p pendingClaim) bool { return time.Since(p.at) > pendingFor })
	a.sessions[s.key] = append(a.sessions[s.key], s)
	if all := a.sessions[s.key]; len(all) > sessionsPerKey {
		oldest := all[0]
		a.relay.group.Go(func() { oldest.session.Close(errSessions) })
	}
	return claim
}

// remove forgets a session that has ended.
func (a *agents) remove(s *share) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rest := slices.DeleteFunc(a.sessions[s.key], func(other *share) bool { return other == s })
	if a.sessions[s.key] = rest; len(rest) == 0 {
		delete(a.sessions, s.key)
	}
}

// serve answers an agent's requests until its session ends.
func (a *agents) serve(s *share) {
	r := a.relay
	for {
		st, err := s.session.Accept(r.life)
		if err != nil {
			break
		}
		a.control(s, st)
	}
	if r.life.Err() != nil {
		s.session.Close(nil)
	}
	<-s.session.Done()
	a.remove(s)
	r.log.Info("agent gone", "key", s.key, "from", s.from.prefix, "reason", s.session.Err())
	r.shares.sessionEnded(s, time.Now())
	r.ports.release(s)
}

// control answers one request of an agent.
func (a *agents) control(s *share, st *tunnel.Stream) {
	defer st.Close()
	if string(st.Head()) != tunnel.ControlHead {
		st.Reset()
		return
	}
	if st.SetDeadline(time.Now().Add(controlTimeout)) != nil {
		return
	}
	defer context.AfterFunc(a.relay.life, st.Reset)() // Close does not wait for the agent
	ctx, cancel := context.WithTimeout(a.relay.life, controlTimeout)
	defer cancel()
	var reply tunnel.Reply
	grant, err := a.do(ctx, s, st)
	if err != nil {
		refused := a.refuse("request of an agent refused", s.key, s.from.prefix, err)
		reply.Code, reply.Error = refused.Code, refused.Message
	}
	reply.Grant = grant
	_ = json.NewEncoder(st).Encode(reply) // fails only when the agent has disconnected
}

func (a *agents) do(ctx context.Context, s *share, from io.Reader) (*tunnel.Grant, error) {
	var request tunnel.Request
	if err := json.NewDecoder(io.LimitReader(from, tunnel.MaxPayload)).Decode(&request); err != nil {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "cannot read the request; run the same version of devproxy at both ends"}
	}
	if request.Op == "state" {
		return nil, a.expectCallback(s, request.State)
	}
	if !s.claims.Allow() {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the share changes too often; try again in a moment"}
	}
	switch {
	case request.Op == "claim" && request.Claim != nil:
		return a.reclaim(ctx, s, *request.Claim)
	case request.Op == "end":
		return nil, a.end(ctx, s)
	}
	return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the relay does not support this request; update the relay"}
}

// reclaim replaces a session's claim, at once and as a whole.
func (a *agents) reclaim(ctx context.Context, s *share, c tunnel.Claim) (*tunnel.Grant, error) {
	granted, grant, err := a.grant(ctx, s.session.Key(), s.from, c)
	if err != nil {
		return nil, err
	}
	if !a.relay.shares.change(s, granted) {
		return nil, &tunnel.Refusal{Code: tunnel.CodeReplaced, Message: tunnel.ErrReplaced.Error()}
	}
	a.relay.ports.assign(s, granted.ports)
	return grant, nil
}

// end ends the names of a session for good. The session stays, and may claim
// others.
func (a *agents) end(ctx context.Context, s *share) error {
	r := a.relay
	root := r.shares.claimOf(s).root // not the zone, which stays its key's; empty, as no name is, without hosts
	if err := r.opts.Registry.Release(ctx, s.key, []string{root}); err != nil {
		return err
	}
	r.shares.change(s, &claimed{})
	r.ports.assign(s, nil)
	r.log.Info("share ended", "key", s.key, "from", s.from.prefix)
	return nil
}

// refuse counts and logs an error, and returns the refusal that the agent gets.
func (a *agents) refuse(what string, key Key, from fmt.Stringer, err error) *tunnel.Refusal {
	refused := refusal(err)
	code, log := fmt.Sprint(refused.Code), a.relay.log.Info
	if refused == errFailed {
		code, log = "failed", a.relay.log.Error
	} else {
		err = refused
	}
	a.relay.metrics.refused.WithLabelValues(code).Inc()
	log(what, "key", key, "from", from, "error", err)
	return refused
}

// Refusals that agents get. errFailed replaces an error of this server, whose text
// is for its operator, since it contains file names.
var (
	errFailed   = &tunnel.Refusal{Code: tunnel.CodeFailed, Message: "the relay has an internal error and cannot take the share now; its log has the details"}
	errLeaving  = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay is about to stop; try again"}
	errFull     = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay has as many shares as its limit of open files (ulimit -n) or its limit for your network allows; try again later, or ask its operator to raise that limit"}
	errSessions = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the key has reached its limit of sessions, and all of them are newer"}
)

// codedError is an error of the registry that agents get.
type codedError interface {
	error
	Code() tunnel.Code
}

// refusal returns the refusal that an agent gets for err.
func refusal(err error) *tunnel.Refusal {
	if refused, ok := errors.AsType[*tunnel.Refusal](err); ok {
		return refused
	}
	if name, ok := errors.AsType[*tunnel.NameError](err); ok {
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: name.Reason + ": " + name.Fix}
	}
	if coded, ok := errors.AsType[codedError](err); ok {
		return &tunnel.Refusal{Code: coded.Code(), Message: coded.Error()}
	}
	if errors.Is(err, ErrSuspended) {
		return errLeaving
	}
	return errFailed
}
