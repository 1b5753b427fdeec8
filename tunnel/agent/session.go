package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// Phase is the state of an agent's connection.
type Phase string

// The phases.
const (
	// Connecting: a session is being opened.
	Connecting Phase = "connecting"
	// Up: visitors get through.
	Up Phase = "up"
	// Resuming: every connection of the session is lost. It is kept for
	// tunnel.ResumeTimeout while others are dialled; visitors wait.
	Resuming Phase = "resuming"
	// Waiting: an attempt failed, the next follows. Visitors see that the
	// share is not connected.
	Waiting Phase = "waiting"
)

// State describes an agent at one moment.
type State struct {
	Phase Phase
	// Grant is the relay's last grant; zero before the first.
	Grant tunnel.Grant
	// Domain is why the relay has refused the claim's Domain and granted the rest; nil if
	// it did not. Later sessions claim the rest alone.
	Domain *Error
	// Err is why the agent waits; nil in every other phase.
	Err *Error
	// Retry is how long it waits; 0 in every other phase.
	Retry time.Duration
	// Lanes are the connections that work, RTT the smoothed round trip; 0
	// without a session.
	Lanes int
	RTT   time.Duration
}

// State returns the agent's current state.
func (a *Agent) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.measureLocked()
	return a.state
}

func (a *Agent) set(next State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setLocked(next)
}

// setLocked makes next the state and reports it.
func (a *Agent) setLocked(next State) {
	if next.Phase != Up {
		next.Grant, next.Domain = a.state.Grant, a.state.Domain
	}
	a.state = next
	a.measureLocked()
	if a.notify != nil {
		a.notify(a.state)
	}
}

// measureLocked updates the figures of the state.
func (a *Agent) measureLocked() {
	a.state.Lanes, a.state.RTT = 0, 0
	if a.session != nil {
		stats := a.session.Stats()
		a.state.Lanes, a.state.RTT = stats.Lanes, stats.RTT
	}
}

// checkLanes updates the phase when a session has lost every lane, and when it has one
// again.
func (a *Agent) checkLanes() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.measureLocked()
	next := Up
	if a.state.Lanes == 0 {
		next = Resuming
	}
	if a.session != nil && next != a.state.Phase {
		a.setLocked(State{Phase: next, Grant: a.state.Grant, Domain: a.state.Domain})
	}
}

// open opens a session with the current claim, and has its visitors served.
func (a *Agent) open(ctx context.Context) (*tunnel.Session, error) {
	claim, claimed := a.wanted()
	s, answer, err := a.dial(ctx, claim)
	domain := refusedDomain(claim, err)
	if domain != nil {
		claim.Domain = ""
		s, answer, err = a.dial(ctx, claim)
	}
	if err != nil {
		return nil, err
	}
	a.running.Go(func() { a.serve(ctx, s) })
	grant, err := readGrant(answer, claim)
	if err != nil {
		s.Close(nil)
		return nil, a.dialer.target.ended(err, a.key)
	}
	for !a.install(s, grant, domain, claimed) {
		claim, claimed = a.wanted()
		grant, domain, err = a.requestClaim(ctx, s, claim)
		if err != nil {
			s.Close(nil)
			return nil, err
		}
	}
	return s, nil
}

// dial opens a session with a claim.
func (a *Agent) dial(ctx context.Context, claim tunnel.Claim) (*tunnel.Session, []byte, error) {
	hello, err := json.Marshal(claim)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write a claim: %w", err)
	}
	s, answer, err := tunnel.Dial(ctx, tunnel.Config{Key: a.key, Dial: a.dialer.lane, Hello: hello, Budget: a.memory, Log: a.log})
	if err != nil {
		return nil, nil, a.dialer.target.ended(err, a.key)
	}
	return s, answer, nil
}

// requestClaim sends a claim on a session, without its domain if the relay refuses that.
func (a *Agent) requestClaim(ctx context.Context, s *tunnel.Session, claim tunnel.Claim) (grant tunnel.Grant, domain *Error, err error) {
	grant, err = a.request(ctx, s, tunnel.Request{Op: "claim", Claim: &claim})
	if domain = refusedDomain(claim, err); domain != nil {
		claim.Domain = ""
		grant, err = a.request(ctx, s, tunnel.Request{Op: "claim", Claim: &claim})
	}
	return grant, domain, err
}

// refusedDomain returns the refusal of a claim with a domain that may be granted without
// it; nil for any other error.
func refusedDomain(claim tunnel.Claim, err error) *Error {
	e := asError(err)
	if claim.Domain == "" || e == nil {
		return nil
	}
	switch e.Reason {
	case ReasonUnproven, ReasonBadClaim, ReasonBusy, ReasonFailed:
		return e
	}
	return nil
}

func (a *Agent) wanted() (claim tunnel.Claim, claimed uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.claim, a.claimed
}

// install makes s the session, unless the claim has changed by now. domain is the refusal
// of the claim's domain, without which grant is; nil for none.
func (a *Agent) install(s *tunnel.Session, grant tunnel.Grant, domain *Error, claimed uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claimed != claimed {
		return false
	}
	a.held = true
	if domain != nil {
		a.claim.Domain = ""
	}
	a.useLocked(s)
	a.setLocked(State{Phase: Up, Grant: grant, Domain: domain})
	return true
}

// retire stops using s, which takes no more streams.
func (a *Agent) retire(s *tunnel.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == s {
		a.useLocked(nil)
	}
}

// useLocked changes the session and wakes everything that waits for another.
func (a *Agent) useLocked(s *tunnel.Session) {
	a.session = s
	close(a.changed)
	a.changed = make(chan struct{})
}

// Conn is a visitor's connection, which carries one exchange, or what its Visitor's
// Scheme says: the bytes of a shared port, or datagrams. It is the
// stream itself, so that its directions end separately (CloseWrite).
type Conn struct {
	*tunnel.Stream
	// Visitor is the client at the other end, as the relay describes it.
	Visitor tunnel.Visitor
}

// Accept waits for the next visitor; the connection is a *Conn. It returns
// net.ErrClosed once the agent is closed or Run has returned.
func (a *Agent) Accept() (net.Conn, error) {
	select {
	case c := <-a.visitors:
		return c, nil
	case <-a.life.Done():
		return nil, net.ErrClosed
	}
}

// serve hands a session's visitors to Accept until the session ends, or ctx
// does, which ends the session.
func (a *Agent) serve(ctx context.Context, s *tunnel.Session) {
	defer s.Close(nil)
	for {
		stream, err := s.Accept(ctx)
		if err != nil {
			return
		}
		visitor, err := tunnel.ParseVisitor(stream.Head())
		if err != nil {
			a.log.Warn("a visitor was refused", "error", err)
			stream.Reset()
			continue
		}
		stream.Hold(connCost)
		select {
		case a.visitors <- &Conn{Stream: stream, Visitor: visitor}:
		case <-ctx.Done():
			stream.Reset()
			return
		}
	}
}

// readGrant reads the answer to a claim. Its text ends up on a terminal and in
// header fields, and a relay is not trusted, so it must consist of valid names.
func readGrant(answer []byte, claim tunnel.Claim) (tunnel.Grant, error) {
	var grant tunnel.Grant
	if err := json.Unmarshal(answer, &grant); err != nil {
		return tunnel.Grant{}, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return grant, checkGrant(grant, claim)
}

func checkGrant(grant tunnel.Grant, claim tunnel.Claim) error {
	if len(grant.Hosts) != len(claim.Hosts) {
		return fmt.Errorf("it grants %d names for %d hosts", len(grant.Hosts), len(claim.Hosts))
	}
	if !isName(grant.Domain) || grant.Port == 0 {
		return errors.New("it grants names without its own domain and port")
	}
	if grant.Zone != "" && !isName(grant.Zone) {
		return fmt.Errorf("it grants the zone %.80q, which is not a valid name", grant.Zone)
	}
	if grant.Callback != "" && (claim.Callback == nil || grant.Callback != tunnel.CallbackName(claim.Callback.Key, grant.Domain)) {
		return fmt.Errorf("it grants the callback host %.80q, which is another one", grant.Callback)
	}
	if n := len(grant.Ports); n > 0 && n != len(claim.Ports) {
		return fmt.Errorf("it grants %d ports for %d tcp and udp blocks", n, len(claim.Ports))
	}
	for _, port := range grant.Ports {
		if port < 0 || port > 65535 {
			return fmt.Errorf("it grants the port %d, which does not exist", port)
		}
	}
	for _, host := range grant.Hosts {
		if !isName(host) {
			return fmt.Errorf("it grants %.80q, which is not a valid name", host)
		}
	}
	return nil
}

// isName reports whether s consists of the characters of public names, with the "*"
// of a wildcard.
func isName(s string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789-.*_"
	return s != "" && len(s) <= 253 && strings.Trim(s, characters) == "" // RFC 1035 section 2.3.4
}
