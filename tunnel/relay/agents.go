package relay

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

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
	from    *origin
	at      time.Time
}

// admit decides about a new session: tunnel.Acceptor calls it.
func (r *Relay) admit(ctx context.Context, pub ed25519.PublicKey, hello []byte, from net.Addr) ([]byte, error) {
	answer, err := r.grantHello(ctx, keyOf(pub), pub, hello, addrOf(from).Addr())
	var refused *tunnel.Refusal
	switch {
	case errors.As(err, &refused) && refused.Code == tunnel.CodeReleased:
		err = &loggedError{err} // what was asked for
	case err != nil:
		err = &loggedError{r.refuse("agent refused", keyOf(pub), addrOf(from), err)}
	}
	return answer, err
}

// loggedError is a refusal that the log has already.
type loggedError struct{ error }

func (e *loggedError) Unwrap() error { return e.error }

// refuse counts and logs what an agent is refused, and returns what it is told.
func (r *Relay) refuse(what string, key Key, from fmt.Stringer, err error) *tunnel.Refusal {
	told := refusal(err)
	r.metrics.refused.WithLabelValues(codeOf(told)).Inc()
	if told == errFailed {
		r.log.Error(what, "key", key, "from", from, "error", err)
		return told
	}
	r.log.Info(what, "key", key, "from", from, "error", told)
	return told
}

// errFailed is told to agents in place of a fault of this server, whose words are
// for its operator: they name files.
var errFailed = &tunnel.Refusal{Code: tunnel.CodeFailed, Message: "the relay has a fault of its own and cannot take the share now; its log says which"}

func (r *Relay) grantHello(ctx context.Context, key Key, pub ed25519.PublicKey, hello []byte, addr netip.Addr) ([]byte, error) {
	if r.leaving() {
		return nil, errLeaving
	}
	if !r.door.roomForAgent(addr) {
		return nil, errFull
	}
	var c tunnel.Claim
	if err := json.Unmarshal(hello, &c); err != nil {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the claim cannot be read; run the same version of devproxy at both ends"}
	}
	from := r.door.origin(addr)
	if err := r.keys.admit(ctx, key, c.Enrol, from); err != nil {
		return nil, err
	}
	if c.Release != "" {
		return nil, r.release(ctx, key, from, c.Release)
	}
	granted, grant, err := r.grant(ctx, key, pub, from, c)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.admitted[key] = admitted{granted, from, time.Now()}
	r.mu.Unlock()
	return json.Marshal(grant)
}

// release gives up a plain name of key. It never returns nil.
func (r *Relay) release(ctx context.Context, key Key, from *origin, label string) error {
	if !from.names.Allow() {
		return errTooManyNames
	}
	name := label + "." + r.opts.Domain
	given, err := r.opts.Registry.GiveUp(ctx, key, []string{name})
	switch {
	case err != nil:
		return err
	case len(given) == 0:
		return &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: "the name " + name + " is not this key's"}
	}
	r.log.Info("name given up", "key", key, "from", from.prefix, "name", name)
	return &tunnel.Refusal{Code: tunnel.CodeReleased, Message: name}
}

// errLeaving is told to agents that meet a relay in its last moments.
var errLeaving = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay is about to stop; try again"}

// errFull is told to agents whose connections would be closed at once.
var errFull = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay has as many shares as its limit of open files allows (ulimit -n), or as many of your network as it allows; try again later, or have its operator raise that"}

// grant gives key what it claims, in the registry.
func (r *Relay) grant(ctx context.Context, key Key, pub ed25519.PublicKey, from *origin, c tunnel.Claim) (*claimed, *tunnel.Grant, error) {
	zone, hosts, err := tunnel.PublicNames(pub, r.opts.Domain, c)
	if err != nil {
		return nil, nil, err
	}
	if err := r.checkCovered(hosts, c); err != nil {
		return nil, nil, err
	}
	granted := &claimed{zone: zone, hosts: hosts, until: c.Until}
	switch {
	case len(hosts) == 0:
	case c.Name != "":
		granted.plain = c.Name + "." + r.opts.Domain
	default: // whoever has seen a link must not get it in another shape
		granted.link = tunnel.LinkEntry(c.Link, r.opts.Domain)
	}
	if granted.expired(time.Now()) {
		return nil, nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the claim has ended already; is the clock right?"}
	}
	if err := r.payFor(ctx, key, from, granted); err != nil {
		return nil, nil, err
	}
	claim := NameClaim{Owner: key, Names: granted.names(), Until: c.Until, From: from.prefix, Quota: r.opts.Limits.Names}
	if err := r.opts.Registry.Claim(ctx, claim); err != nil {
		return nil, nil, err
	}
	return granted, &tunnel.Grant{Domain: r.opts.Domain, Port: uint16(r.port.Load()), Zone: zone, Hosts: hosts}, nil
}

// payFor takes what the names of a claim cost from a network's allowance, and
// refuses reserved names. Names that the key has already cost nothing.
func (r *Relay) payFor(ctx context.Context, key Key, from *origin, c *claimed) error {
	dirty, plain := false, false
	for _, name := range c.names() {
		record, known, err := r.opts.Registry.Lookup(ctx, name)
		if err != nil {
			return err
		}
		mine := known && record.Owner == key
		if !mine || !record.Until.Equal(c.until) || !record.Ended.IsZero() {
			dirty = true
		}
		if mine || !tunnel.PlainName(name) {
			continue
		}
		plain = true
		if label, _, _ := strings.Cut(name, "."); isReserved(label) && !slices.Contains(r.opts.Names, label) {
			return &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: fmt.Sprintf("the name %q is reserved; the relay's operator can allow it with --allow-name", label)}
		}
	}
	if dirty && !from.names.Allow() || plain && !from.plain.Allow() {
		return errTooManyNames
	}
	return nil
}

// errTooManyNames is told to agents whose network claims names too fast.
var errTooManyNames = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "your network claims new names faster than this relay allows; try again later"}

// checkCovered says which name browsers would refuse.
func (r *Relay) checkCovered(hosts []string, c tunnel.Claim) error {
	instead := "share one host, or have one added with --cert"
	if c.Names != tunnel.NamesByZone && c.SharedCookies {
		instead = `remove cookies = "shared", or have one added with --cert`
	}
	for _, host := range hosts {
		name := strings.Replace(host, "*", "x", 1)
		if r.opts.Covers != nil && !r.opts.Covers(name) {
			_, parent, _ := strings.Cut(host, ".")
			return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for *." + parent + ": " + instead}
		}
	}
	return nil
}

// refusal is what an agent is told of err.
func refusal(err error) *tunnel.Refusal {
	var (
		refused *tunnel.Refusal
		name    *tunnel.NameError
		taken   *TakenError
		ended   *EndedError
		quota   *QuotaError
	)
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &quota):
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: quota.Error()}
	case errors.As(err, &name):
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: name.Reason + ": " + name.Fix}
	case errors.As(err, &taken):
		return &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: taken.Error()}
	case errors.As(err, &ended):
		return &tunnel.Refusal{Code: tunnel.CodeEnded, Message: ended.Error()}
	case errors.Is(err, ErrSuspended):
		return errLeaving
	}
	return errFailed
}

// codeOf is the label under which a refusal is counted.
func codeOf(told *tunnel.Refusal) string {
	if told == errFailed {
		return "failed"
	}
	return fmt.Sprint(told.Code)
}

// established takes over a new session: tunnel.Acceptor calls it.
func (r *Relay) established(session *tunnel.Session) {
	key := keyOf(session.Key())
	s := &share{
		key: key, session: session,
		slots: newSlots(r.opts.Limits), claims: rate.NewLimiter(claimsPerSecond, claimsBurst),
	}
	r.mu.Lock()
	claim, from := r.admitted[key].claimed, r.admitted[key].from
	delete(r.admitted, key)
	for other, a := range r.admitted {
		if time.Since(a.at) > admittedFor {
			delete(r.admitted, other)
		}
	}
	r.sessions[key] = append(r.sessions[key], s)
	if all := r.sessions[key]; len(all) > sessionsPerKey {
		oldest := all[0]
		r.group.Go(func() { oldest.session.Close(errSessions) })
	}
	r.mu.Unlock()
	if claim == nil { // two agents of one key at once: the later has taken it
		claim, from = &claimed{}, r.door.origin(netip.Addr{})
	}
	s.from = from
	r.table.put(s, claim)
	r.metrics.sessions.Inc()
	r.log.Info("agent connected", "key", key, "from", s.from.prefix, "hosts", len(claim.hosts))
	r.group.Go(func() { r.attend(s) })
}

// errSessions ends a session that has drained for too long.
var errSessions = &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the key has newer sessions, and as many as it may have"}

// part forgets a session that has ended.
func (r *Relay) part(s *share) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := slices.DeleteFunc(r.sessions[s.key], func(other *share) bool { return other == s })
	if r.sessions[s.key] = rest; len(rest) == 0 {
		delete(r.sessions, s.key)
	}
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
	r.part(s)
	r.log.Info("agent gone", "key", s.key, "from", s.from.prefix, "reason", s.session.Err())
	r.table.lose(s, time.Now())
}
