package relay

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// controlTimeout bounds one exchange on a control stream.
	controlTimeout = 10 * time.Second
	// admittedFor is how long a claim that was granted waits for its session,
	// which is there after one more round trip.
	admittedFor = time.Minute
)

// admitted is a claim that was granted, before its session is there.
type admitted struct {
	claimed *claimed
	at      time.Time
}

// admit decides about a new session: tunnel.Acceptor calls it.
func (r *Relay) admit(ctx context.Context, pub ed25519.PublicKey, hello []byte, from net.Addr) ([]byte, error) {
	answer, err := r.grantHello(ctx, keyOf(pub), pub, hello)
	if err != nil {
		err = refusal(err)
		r.metrics.refused.WithLabelValues(codeOf(err)).Inc()
		r.log.Info("agent refused", "key", keyOf(pub), "from", from, "error", err)
	}
	return answer, err
}

func (r *Relay) grantHello(ctx context.Context, key Key, pub ed25519.PublicKey, hello []byte) ([]byte, error) {
	if r.leaving() {
		return nil, errLeaving
	}
	if !r.door.roomForAgent() {
		return nil, errFull
	}
	var c tunnel.Claim
	if err := json.Unmarshal(hello, &c); err != nil {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the claim cannot be read; run the same version of devproxy at both ends"}
	}
	if err := r.keys.admit(ctx, key, c.Enrol); err != nil {
		return nil, err
	}
	granted, grant, err := r.grant(ctx, key, pub, c)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.admitted[key] = admitted{granted, time.Now()}
	r.mu.Unlock()
	return json.Marshal(grant)
}

// errLeaving is told to agents that meet a relay in its last moments.
var errLeaving = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay is about to stop; try again"}

// errFull is told to agents whose connections would be closed at once.
var errFull = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay has as many shares as its limit of open files allows (ulimit -n); try again later, or have whoever runs it raise that"}

// grant gives key what it claims, in the registry.
func (r *Relay) grant(ctx context.Context, key Key, pub ed25519.PublicKey, c tunnel.Claim) (*claimed, *tunnel.Grant, error) {
	zone, hosts, err := tunnel.PublicNames(pub, r.opts.Domain, c)
	if err != nil {
		return nil, nil, err
	}
	if err := r.checkCovered(hosts); err != nil {
		return nil, nil, err
	}
	granted := &claimed{zone: zone, hosts: hosts, plain: c.Name != "", until: c.Until}
	if len(hosts) > 0 && !granted.plain {
		// Whoever has seen a link must not get it in another shape.
		granted.link = "*-" + c.Link + "." + r.opts.Domain
	}
	if granted.expired(time.Now()) {
		return nil, nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the claim has ended already; is the clock right?"}
	}
	if len(hosts) > 0 {
		if err := r.opts.Registry.Claim(ctx, key, granted.names(), c.Until); err != nil {
			return nil, nil, err
		}
	}
	return granted, &tunnel.Grant{Domain: r.opts.Domain, Port: uint16(r.port.Load()), Zone: zone, Hosts: hosts}, nil
}

// checkCovered says which name browsers would refuse.
func (r *Relay) checkCovered(hosts []string) error {
	for _, host := range hosts {
		name := strings.Replace(host, "*", "x", 1)
		if r.opts.Covers != nil && !r.opts.Covers(name) {
			_, parent, _ := strings.Cut(host, ".")
			return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for *." + parent + ": share one host, or have one added with --cert"}
		}
	}
	return nil
}

// refusal is what an agent is told of err.
func refusal(err error) error {
	var (
		refused *tunnel.Refusal
		name    *tunnel.NameError
		taken   *TakenError
		ended   *EndedError
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &name):
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: name.Reason + ": " + name.Fix}
	case errors.As(err, &taken):
		return &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: taken.Error()}
	case errors.As(err, &ended):
		return &tunnel.Refusal{Code: tunnel.CodeEnded, Message: ended.Error()}
	case errors.Is(err, ErrSuspended):
		return errLeaving
	}
	return err
}

// codeOf is the label under which a refusal is counted.
func codeOf(err error) string {
	var refused *tunnel.Refusal
	if !errors.As(err, &refused) {
		return "failed"
	}
	return fmt.Sprint(refused.Code)
}

// established takes over a new session: tunnel.Acceptor calls it.
func (r *Relay) established(session *tunnel.Session) {
	key := keyOf(session.Key())
	s := &share{key: key, session: session}
	r.mu.Lock()
	claim := r.admitted[key].claimed
	delete(r.admitted, key)
	for other, a := range r.admitted {
		if time.Since(a.at) > admittedFor {
			delete(r.admitted, other)
		}
	}
	r.mu.Unlock()
	if claim == nil { // two agents of one key at once: the later has taken it
		claim = &claimed{}
	}
	r.table.put(s, claim)
	r.metrics.sessions.Inc()
	r.log.Info("agent connected", "key", key, "hosts", len(claim.hosts))
	r.group.Go(func() { r.attend(s) })
}

// attend answers what an agent asks until its session ends.
func (r *Relay) attend(s *share) {
	for {
		st, err := s.session.Accept(r.life)
		if err != nil {
			break
		}
		r.control(s, st)
	}
	if r.life.Err() != nil {
		s.session.Close(nil)
	}
	<-s.session.Done()
	r.log.Info("agent gone", "key", s.key, "reason", s.session.Err())
	r.table.lose(s, time.Now())
}
