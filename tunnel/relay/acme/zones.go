package acme

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/devproxy/devproxy/tunnel"
)

// The certificates of zones have a budget: the authority has one for the domain that
// the relay is below, which the relay's own certificates and other servers of the same
// owner need too. Let's Encrypt's is 50 new names in seven days. Renewals count for
// neither budget.
const (
	// zonesPerWeek is how many zones may get their first certificate in seven days.
	zonesPerWeek = 25
	// zonesPerKey and zonesPerNetwork are how many of them one key, and the keys of one
	// network, may have.
	zonesPerKey     = 3
	zonesPerNetwork = 10
	siteBits        = 48 // of an IPv6 network
	week            = 7 * 24 * time.Hour
	// unusedZone is how long a zone's certificate is renewed after the zone was last
	// claimed.
	unusedZone = 30 * 24 * time.Hour
	// usedEvery is the precision of Used.
	usedEvery = 24 * time.Hour
	// maxQueue is how many zones wait for their order.
	maxQueue = 64
	// zonesFile has the zones, as JSON, in the manager's folder.
	zonesFile = "zones.json"
)

// zoneRecord is what is kept about a zone.
type zoneRecord struct {
	Key     string       `json:"key"`
	Network netip.Prefix `json:"network"`
	First   time.Time    `json:"first"` // of its orders
	Used    time.Time    `json:"used"`

	waiting  bool // in the queue, or being ordered
	failure  *Failure
	failures int
	next     time.Time // not ordered before
}

// zones are the zones that have a certificate, or had an order.
type zones struct {
	storage *certmagic.FileStorage
	domain  string

	mu  sync.Mutex
	all map[string]*zoneRecord
}

func openZones(storage *certmagic.FileStorage, domain string) (*zones, error) {
	z := &zones{storage: storage, domain: domain, all: map[string]*zoneRecord{}}
	text, err := storage.Load(context.Background(), zonesFile)
	switch {
	case missing(err):
		return z, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the relay's zones: %w", err)
	}
	if err := json.Unmarshal(text, &z.all); err != nil {
		return nil, fmt.Errorf("cannot read the relay's zones in %s: %w", storage.Filename(zonesFile), err)
	}
	if z.all == nil || slices.Contains(slices.Collect(maps.Values(z.all)), nil) {
		return nil, fmt.Errorf("cannot read the relay's zones in %s: it has null", storage.Filename(zonesFile))
	}
	return z, nil
}

// saveLocked writes the file.
func (z *zones) saveLocked() error {
	text, err := json.Marshal(z.all)
	if err != nil {
		return err
	}
	return z.storage.Store(context.Background(), zonesFile, text)
}

// used returns the zones whose certificates are renewed.
func (z *zones) used(now time.Time) (names []string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(z.all)) {
		if now.Sub(z.all[name].Used) < unusedZone && strings.HasSuffix(name, "."+z.domain) {
			names = append(names, name)
		}
	}
	return names
}

// left returns how many new zones may be ordered.
func (z *zones) left(now time.Time) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	total, _, _, _ := z.spentLocked("", netip.Prefix{}, now)
	return zonesPerWeek - total
}

// spentLocked counts the first orders of the last seven days, those of a key and those
// of a network. again is when the oldest of all does not count any more.
func (z *zones) spentLocked(key string, network netip.Prefix, now time.Time) (total, ofKey, ofNetwork int, again time.Time) {
	for _, r := range z.all {
		if now.Sub(r.First) >= week {
			continue
		}
		total++
		if r.Key == key {
			ofKey++
		}
		if r.Network == network {
			ofNetwork++
		}
		if end := r.First.Add(week); again.IsZero() || end.Before(again) {
			again = end
		}
	}
	return total, ofKey, ofNetwork, again
}

// claim notes that a key uses a zone. covered is whether a certificate for it is in
// use. It reports whether an order has to be queued, or refuses the zone.
func (z *zones) claim(zone, key string, network netip.Prefix, covered bool, now time.Time) (order bool, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	r := z.all[zone]
	if r == nil {
		if err := z.budgetLocked(key, network, now); err != nil {
			return false, err
		}
		r = &zoneRecord{Key: key, Network: network, First: now}
		z.all[zone] = r
	}
	if now.Sub(r.Used) >= usedEvery {
		r.Used = now
		if err := z.saveLocked(); err != nil {
			return false, fmt.Errorf("cannot write the relay's zones: %w", err)
		}
	}
	switch {
	case covered:
		return false, nil
	case r.waiting:
		return false, errOrdered(zone)
	case now.Before(r.next):
		return false, &tunnel.Refusal{Code: tunnel.CodeBusy, Message: fmt.Sprintf("no certificate for *.%s yet: %v; the relay tries again at %s", zone, r.failure, minute(r.next))}
	}
	r.waiting = true
	return true, errOrdered(zone)
}

// budgetLocked refuses a new zone beyond the budget.
func (z *zones) budgetLocked(key string, network netip.Prefix, now time.Time) error {
	total, ofKey, ofNetwork, again := z.spentLocked(key, network, now)
	who, most := "", 0
	switch {
	case total >= zonesPerWeek:
		who, most = "this relay gets", zonesPerWeek
	case ofKey >= zonesPerKey:
		who, most = "one key gets", zonesPerKey
	case ofNetwork >= zonesPerNetwork:
		who, most = "one network gets", zonesPerNetwork
	default:
		return nil
	}
	return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: fmt.Sprintf("%s certificates for %d new zones in seven days, and has had them; remove cookies = \"shared\", or try again after %s", who, most, minute(again))}
}

func errOrdered(zone string) error {
	return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "the certificate for *." + zone + " is being issued, which takes up to a minute"}
}

func minute(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// done notes the outcome of an order.
func (z *zones) done(zone string, failure *Failure, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	r := z.all[zone]
	if r == nil {
		return
	}
	r.waiting, r.failure = false, failure
	if failure == nil {
		r.failures = 0
		return
	}
	r.next = now.Add(failure.pause(r.failures))
	r.failures++
}

// expired returns the zones that are not renewed and do not count any more, and
// forgets them.
func (z *zones) expired(now time.Time) (names []string, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for name, r := range z.all {
		if !r.waiting && now.Sub(r.Used) >= unusedZone && now.Sub(r.First) >= week {
			names = append(names, name)
			delete(z.all, name)
		}
	}
	if len(names) > 0 {
		err = z.saveLocked()
	}
	return names, err
}

// CoverZone gets a certificate for a zone of a key, *.ZONE, in the background. It
// returns nil once there is one. Until then, and when there will be none, it returns a
// tunnel.Refusal that says so. network is where the key's session comes from.
func (m *Manager) CoverZone(zone, key string, network netip.Prefix) error {
	covered := m.Covers("x." + zone)
	if !covered && m.opts.NoZones != "" {
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for *." + zone + ": " + m.opts.NoZones}
	}
	order, err := m.zones.claim(zone, key, site(network), covered, time.Now())
	if order {
		select {
		case m.queue <- zone:
		default:
			m.zones.done(zone, nil, time.Now())
			return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "too many certificates are being issued; try again later"}
		}
	}
	return err
}

// site returns the network that zones are counted with: of IPv6, the /48 that one site
// can have, since the budget is small.
func site(network netip.Prefix) netip.Prefix {
	if addr := network.Addr(); addr.Is6() && network.Bits() > siteBits {
		return netip.PrefixFrom(addr, siteBits).Masked()
	}
	return network
}

// orderZones orders the certificates of zones, one after the other, until ctx ends.
func (r *run) orderZones(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case zone := <-r.queue:
			r.orderZone(ctx, zone)
		}
	}
}

func (r *run) orderZone(ctx context.Context, zone string) {
	subject := "*." + zone
	if !r.load(ctx, subject) || r.Covers("x."+zone) {
		r.zones.done(zone, nil, time.Now())
		return
	}
	var failure *Failure
	if err := r.obtain(ctx, subject, 0); err != nil {
		failure = explain(err, r.opts)
		if ctx.Err() == nil {
			r.opts.Log.Error("certificate not issued", "name", subject, "error", failure.Error(), "fix", failure.Fix())
		} else {
			failure.pauses = []time.Duration{0} // the relay was stopped or replaced
		}
	} else {
		r.load(ctx, subject)
	}
	r.zones.done(zone, failure, time.Now())
}

// forgetZones stops renewing the certificates of zones that are not used any more, and
// removes those that have expired.
func (r *run) forgetZones(ctx context.Context, now time.Time) {
	names, err := r.zones.expired(now)
	if err != nil {
		r.opts.Log.Error("zones not forgotten", "error", err)
	}
	for _, zone := range names {
		subject, key := "*."+zone, r.config.Issuers[0].IssuerKey()
		r.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: subject, IssuerKey: key}})
		r.mu.Lock()
		delete(r.pairs, subject)
		r.mu.Unlock()
		if err := r.storage.Delete(ctx, certmagic.StorageKeys.CertsSitePrefix(key, subject)); err != nil {
			r.opts.Log.Error("certificate not removed", "name", subject, "error", err)
		}
	}
}

// The kinds of certificates, for metrics.
const (
	kindRelay = "relay"
	kindZone  = "zone"
)

// kind returns what a certificate is for.
func (m *Manager) kind(subject string) string {
	if slices.Contains(m.subject, subject) {
		return kindRelay
	}
	return kindZone
}
