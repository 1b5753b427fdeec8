package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/devproxy/devproxy/tunnel"
)

// open opens a session with what is claimed, and has its visitors served.
func (a *Agent) open(ctx context.Context) (*tunnel.Session, error) {
	claim, claimed := a.wanted()
	hello, err := json.Marshal(claim)
	if err != nil {
		return nil, fmt.Errorf("cannot write a claim: %w", err)
	}
	s, answer, err := tunnel.Dial(ctx, tunnel.Config{Key: a.key, Dial: a.dialer.lane, Hello: hello, Budget: a.memory, Log: a.log})
	if err != nil {
		return nil, a.dialer.target.ended(err, a.key)
	}
	a.running.Go(func() { a.serve(ctx, s) })
	grant, err := readGrant(answer, claim)
	if err != nil {
		s.Close(nil)
		return nil, a.dialer.target.ended(err, a.key)
	}
	for !a.install(s, grant, claimed) {
		claim, claimed = a.wanted()
		if grant, err = a.ask(ctx, s, tunnel.Request{Op: "claim", Claim: &claim}); err != nil {
			s.Close(nil)
			return nil, err
		}
	}
	return s, nil
}

func (a *Agent) wanted() (claim tunnel.Claim, claimed uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.claim, a.claimed
}

// install makes s the session, unless something else is claimed by now.
func (a *Agent) install(s *tunnel.Session, grant tunnel.Grant, claimed uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claimed != claimed {
		return false
	}
	a.session, a.held = s, true
	a.announce()
	a.setLocked(State{Phase: Up, Grant: grant})
	return true
}

// retire takes s out: it takes no more streams of ours.
func (a *Agent) retire(s *tunnel.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == s {
		a.session = nil
		a.announce()
	}
}

// announce wakes whoever waits for another session.
func (a *Agent) announce() {
	close(a.changed)
	a.changed = make(chan struct{})
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
			a.log.Warn("a visitor was turned away", "error", err)
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

// readGrant reads the answer to a claim. It ends up on a terminal and in
// headers, and a relay is a stranger's program: so it has to be names.
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
		return errors.New("it grants no names, for it does not say its own")
	}
	if grant.Zone != "" && !isName(grant.Zone) {
		return fmt.Errorf("it grants a zone %.80q, which is no name", grant.Zone)
	}
	for _, host := range grant.Hosts {
		if !isName(host) {
			return fmt.Errorf("it grants %.80q, which is no name", host)
		}
	}
	return nil
}

// isName reports whether s consists of what public names are made of, a
// wildcard's "*" with them.
func isName(s string) bool {
	outside := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-.*_", c)
	}
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, outside) // RFC 1035 section 2.3.4
}
