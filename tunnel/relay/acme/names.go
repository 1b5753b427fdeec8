package acme

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	week = 7 * 24 * time.Hour
	// unused is how long a name's certificate is renewed after the name was last claimed.
	unused = 30 * 24 * time.Hour
	// usedEvery is the precision of Used.
	usedEvery = 24 * time.Hour
	// maxQueue is how many names of a kind wait for their order.
	maxQueue = 64
	// siteBits are those of an IPv6 network that one site can have.
	siteBits = 48
)

// kind is a kind of names that get a certificate of their own when a key claims them. New
// names have a budget, because an authority has one too.
type kind struct {
	label string // in metrics
	noun  string // of several: "zones"
	file  string // has the names, as JSON, in the manager's folder
	// perWeek is how many names may get their first certificate in seven days. perKey and
	// perNetwork are how many of them one key, and the keys of one network, may have.
	perWeek, perKey, perNetwork int
	atOnce                      int  // how many are ordered at once
	wildcard                    bool // the certificate is for *.NAME
	instead                     string
}

// subject returns the name in the certificate.
func (k kind) subject(name string) string {
	if k.wildcard {
		return "*." + name
	}
	return name
}

// nameRecord is what is kept about a name.
type nameRecord struct {
	Key     string       `json:"key"` // that has claimed it last
	Network netip.Prefix `json:"network"`
	First   time.Time    `json:"first"` // of its orders
	Used    time.Time    `json:"used"`

	waiting  bool // in the queue, or being ordered
	failure  *Failure
	failures int
	next     time.Time // not ordered before
}

// names are the names of a kind that have a certificate, or had an order.
type names struct {
	kind
	storage *certmagic.FileStorage
	queue   chan string // to order

	mu  sync.Mutex
	all map[string]*nameRecord
}

// openNames reads the file of a kind.
func openNames(storage *certmagic.FileStorage, k kind) (*names, error) {
	n := &names{kind: k, storage: storage, queue: make(chan string, maxQueue), all: map[string]*nameRecord{}}
	text, err := storage.Load(context.Background(), k.file)
	switch {
	case missing(err):
		return n, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the relay's %s: %w", k.noun, err)
	}
	if err := json.Unmarshal(text, &n.all); err != nil {
		return nil, fmt.Errorf("cannot read the relay's %s in %s: %w", k.noun, storage.Filename(k.file), err)
	}
	if n.all == nil || slices.Contains(slices.Collect(maps.Values(n.all)), nil) {
		return nil, fmt.Errorf("cannot read the relay's %s in %s: it has null", k.noun, storage.Filename(k.file))
	}
	return n, nil
}

// saveLocked writes the file.
func (n *names) saveLocked() error {
	text, err := json.Marshal(n.all)
	if err != nil {
		return err
	}
	if err := n.storage.Store(context.Background(), n.file, text); err != nil {
		return fmt.Errorf("cannot write the relay's %s: %w", n.noun, err)
	}
	return nil
}

// used returns the names whose certificates are renewed.
func (n *names) used(now time.Time) (used []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(n.all)) {
		if now.Sub(n.all[name].Used) < unused {
			used = append(used, name)
		}
	}
	return used
}

// keyOf returns the key that has claimed a name last; empty for none.
func (n *names) keyOf(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.all[name]; r != nil {
		return r.Key
	}
	return ""
}

// refusalsOf returns how many orders of a name have failed since one succeeded, if the
// authority has refused the last of them.
func (n *names) refusalsOf(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.all[name]; r != nil && r.failure != nil && r.failure.refused {
		return r.failures
	}
	return 0
}

// left returns how many new names may be ordered.
func (n *names) left(now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	spent, _ := n.spentLocked(now, func(*nameRecord) bool { return true })
	return n.perWeek - spent
}

// spentLocked counts the first orders of the last seven days among some records. again is
// when the oldest of them does not count any more.
func (n *names) spentLocked(now time.Time, counts func(r *nameRecord) bool) (spent int, again time.Time) {
	for _, r := range n.all {
		if now.Sub(r.First) >= week || !counts(r) {
			continue
		}
		spent++
		if end := r.First.Add(week); again.IsZero() || end.Before(again) {
			again = end
		}
	}
	return spent, again
}

// claim notes that a key uses a name. covered is whether a certificate for it is in
// use. It reports whether an order has to be queued, or refuses the name.
func (n *names) claim(name, key string, network netip.Prefix, covered bool, now time.Time) (order bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.all[name]
	if r == nil {
		if err := n.budgetLocked(key, network, now); err != nil {
			return false, err
		}
		r = &nameRecord{Key: key, Network: network, First: now}
		n.all[name] = r
	}
	if r.Key != key || now.Sub(r.Used) >= usedEvery {
		r.Key, r.Used = key, now
		if err := n.saveLocked(); err != nil {
			return false, err
		}
	}
	switch {
	case covered:
		return false, nil
	case r.waiting:
		return false, n.ordered(name)
	case now.Before(r.next):
		return false, n.failed(name, r)
	}
	r.waiting = true
	return true, n.ordered(name)
}

// budgetLocked refuses a new name beyond the budget.
func (n *names) budgetLocked(key string, network netip.Prefix, now time.Time) error {
	for _, limit := range []struct {
		who    string
		most   int
		counts func(r *nameRecord) bool
	}{
		{"this relay", n.perWeek, func(*nameRecord) bool { return true }},
		{"one key", n.perKey, func(r *nameRecord) bool { return r.Key == key }},
		{"one network", n.perNetwork, func(r *nameRecord) bool { return r.Network == network }},
	} {
		if spent, again := n.spentLocked(now, limit.counts); spent >= limit.most {
			return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: fmt.Sprintf("%s gets certificates for %d new %s in seven days, and has had them; %s, or try again after %s",
				limit.who, limit.most, n.noun, n.instead, minute(again))}
		}
	}
	return nil
}

// ordered is the refusal of a name while its certificate is ordered.
func (n *names) ordered(name string) error {
	return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the certificate for " + n.subject(name) + " is being issued, which takes up to a minute"}
}

// failed is the refusal of a name whose order has failed.
func (n *names) failed(name string, r *nameRecord) error {
	why := r.failure.Error()
	if r.failure.users {
		why += ": " + r.failure.Fix()
	}
	return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: fmt.Sprintf("no certificate for %s yet: %s; the relay tries again at %s", n.subject(name), why, minute(r.next))}
}

func minute(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// done notes the outcome of an order.
func (n *names) done(name string, failure *Failure, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.all[name]
	if r == nil {
		return
	}
	r.waiting, r.failure = false, failure
	if failure == nil {
		r.failures, r.next = 0, time.Time{}
		return
	}
	r.next = now.Add(failure.pause(r.failures))
	r.failures++
}

// lose notes that a name does not belong to its key any more. It is not renewed, but
// counts for the budget.
func (n *names) lose(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.all[name]
	if r == nil {
		return nil
	}
	r.Used = time.Time{}
	return n.saveLocked()
}

// expired returns the names that are not renewed and do not count any more, and
// forgets them.
func (n *names) expired(now time.Time) (expired []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, r := range n.all {
		if !r.waiting && now.Sub(r.Used) >= unused && now.Sub(r.First) >= week {
			expired = append(expired, name)
			delete(n.all, name)
		}
	}
	if len(expired) > 0 {
		err = n.saveLocked()
	}
	return expired, err
}

// cover gets a certificate for a name of a key, in the background. It returns nil once
// there is one. Until then, and when there will be none, it returns a tunnel.Refusal that
// says so. network is where the key's session comes from.
func (m *Manager) cover(n *names, name, key string, network netip.Prefix) error {
	if m.hasEnded() {
		return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the relay is about to stop; try again"}
	}
	order, err := n.claim(name, key, site(network), m.issued(n.subject(name)), time.Now())
	if order {
		select {
		case n.queue <- name:
		default:
			n.done(name, nil, time.Now())
			return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "too many certificates are being issued; try again later"}
		}
	}
	return err
}

// site returns the network that names are counted with: of IPv6, the /48 that one site
// can have, since the budget is small.
func site(network netip.Prefix) netip.Prefix {
	if addr := network.Addr(); addr.Is6() && network.Bits() > siteBits {
		return netip.PrefixFrom(addr, siteBits).Masked()
	}
	return network
}

// orderNames orders the certificates of a kind of names until ctx ends.
func (r *run) orderNames(ctx context.Context, n *names) {
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-n.queue:
			r.orderName(ctx, n, name)
		}
	}
}

func (r *run) orderName(ctx context.Context, n *names, name string) {
	subject := n.subject(name)
	if !r.load(ctx, subject) || r.issued(subject) {
		n.done(name, nil, time.Now())
		return
	}
	var failure *Failure
	if err := r.obtain(ctx, subject, n.refusalsOf(name)); err != nil {
		failure = r.explain(err, subject)
		if ctx.Err() == nil {
			r.opts.Log.Error("certificate not issued", "name", subject, "error", failure.Error(), "fix", failure.Fix())
		} else {
			failure.pauses = []time.Duration{0} // the relay was stopped or replaced
		}
	} else {
		r.load(ctx, subject)
	}
	n.done(name, failure, time.Now())
}

// forgetNames stops renewing the certificates of names that are not used any more, and
// removes those that have expired.
func (r *run) forgetNames(ctx context.Context, n *names, now time.Time) {
	expired, err := n.expired(now)
	if err != nil {
		r.opts.Log.Error(n.noun+" not forgotten", "error", err)
	}
	for _, name := range expired {
		r.remove(ctx, n.subject(name))
	}
}

// remove removes a certificate from memory and from the storage.
func (r *run) remove(ctx context.Context, subject string) {
	key := r.config.Issuers[0].IssuerKey()
	r.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: subject, IssuerKey: key}})
	r.mu.Lock()
	delete(r.pairs, subject)
	r.mu.Unlock()
	if err := r.storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(key, subject)); err != nil {
		r.opts.Log.Error("certificate not removed", "name", subject, "error", err)
	}
}
