// Package acme gets a relay's certificates from an authority (RFC 8555), renews them
// and keeps them in memory: one for the relay's domain, one for its wildcard, one for the
// zone of each key whose hosts share cookies, and one for each domain of a user's own. It
// proves the relay's names by DNS-01 challenges, which the relay's own DNS server answers,
// and users' domains by TLS-ALPN-01 and HTTP-01, which the relay's own ports answer.
package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// checkEvery is how often certificates are checked for renewal. They are renewed
	// in the last third of their lifetime, or when the authority says so (RFC 9773).
	checkEvery = 10 * time.Minute
	// leastCheckEvery is the same for certificates that are valid for a few minutes
	// only: checksPerLife checks in a lifetime.
	leastCheckEvery = time.Second
	checksPerLife   = 60
	// soon is when certificates are checked after one was loaded.
	soon = 5 * time.Second
	// orderTimeout bounds one order.
	orderTimeout = 5 * time.Minute
)

// Texts holds the challenges of orders in the DNS: see zone.Zone.
type Texts interface {
	AddText(name, text string) error
	RemoveText(name, text string)
}

// Options configure a Manager.
type Options struct {
	// Domain is the relay's, in lower case: "t.example.com".
	Domain string
	// Authority is the URL of the authority's directory.
	Authority string
	// Rehearsal is the directory of an authority for tests. An order that was refused
	// is tried there first, where failures do not count. Empty is none.
	Rehearsal string
	// Email is where the authority writes to about problems; it may be empty.
	Email string
	// Roots verify the authority's server; nil means the system's.
	Roots *x509.CertPool
	// Folder keeps certificates, keys and the account, mode 0600. It is made when it is
	// missing.
	Folder string
	// Texts has the challenges.
	Texts Texts
	// Log gets what happens to certificates.
	Log *slog.Logger
	// Prove returns nil if a domain of a user's own belongs to a key, or the refusal that
	// says why not. It asks the DNS again. Nil is for a relay that takes no such domains.
	Prove func(ctx context.Context, domain, key string) error
	// PlainHTTP reports that the relay answers plain HTTP, on port 80 of its addresses.
	PlainHTTP bool
	// Addresses are the relay's public ones, and Issuer is the authority's name in CAA
	// records, both for explanations; they may be empty.
	Addresses []netip.Addr
	Issuer    string
	// NoZones is why zones get no certificate, as the end of a sentence; empty if they
	// do.
	NoZones string
}

// Manager has the certificates. It is made by New.
type Manager struct {
	opts    Options
	subject []string // of the relay's own certificates
	storage *certmagic.FileStorage
	zones   *names
	domains *names
	orders  *prometheus.CounterVec // by kind and outcome

	// challenges are those of users' domains.
	challenges *Challenges

	first    chan error // has the result of First, once
	finished sync.Once

	mu     sync.RWMutex
	pairs  map[string]*tls.Certificate // by subject
	failed error                       // of the last order of the relay's own certificates
	ended  bool                        // Run has returned: another process may have the folder now
}

// New makes a manager, with the certificates that are in its folder. It orders none
// before Run.
func New(o Options) (*Manager, error) {
	m := &Manager{
		opts: o, subject: []string{o.Domain, "*." + o.Domain},
		storage: &certmagic.FileStorage{Path: o.Folder},
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "devproxy_relay_certificate_orders_total", Help: "Orders of certificates, by what they are for and outcome.",
		}, []string{"kind", "outcome"}),
		challenges: newChallenges(),
		first:      make(chan error, 1), pairs: map[string]*tls.Certificate{},
	}
	if err := m.makeFolder(); err != nil {
		return nil, err
	}
	var err error
	if m.zones, err = openNames(m.storage, zoneKind); err != nil {
		return nil, err
	}
	if m.domains, err = openNames(m.storage, domainKind); err != nil {
		return nil, err
	}
	return m, nil
}

// First returns a channel with the outcome of the first Run: nil when the relay's own
// certificates are in memory, or the error for which they never will be.
func (m *Manager) First() <-chan error { return m.first }

// Challenges returns the answers that prove users' domains. They must be served on the
// relay's ports 443 and 80.
func (m *Manager) Challenges() *Challenges { return m.challenges }

// LastError returns why the latest order of the relay's own certificates has failed;
// nil if none has since one succeeded.
func (m *Manager) LastError() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.failed
}

// Run orders and renews certificates until ctx ends, when it ends orders in progress
// and returns. It may be called again. Certificates stay in memory.
func (m *Manager) Run(ctx context.Context) {
	run := newRun(m)
	defer run.close()
	m.setEnded(false)
	defer m.setEnded(true)
	run.group.Go(func() {
		err := run.own(ctx)
		if ctx.Err() == nil {
			m.finished.Do(func() { m.first <- err })
		}
	})
	for _, n := range []*names{m.zones, m.domains} {
		for range n.atOnce {
			run.group.Go(func() { run.orderNames(ctx, n) })
		}
	}
	run.maintain(ctx)
	run.group.Wait()
}

func (m *Manager) setEnded(ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = ended
}

func (m *Manager) hasEnded() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.ended
}

// run is one Run.
type run struct {
	*Manager
	cache   *certmagic.Cache
	config  *certmagic.Config // of the relay's own names and zones
	users   *certmagic.Config // of users' domains
	issuer  *domainIssuer     // of users
	renewed chan string       // subjects with a newer certificate in the storage
	loaded  chan struct{}     // a certificate was loaded, which may need checks more often
	group   sync.WaitGroup
}

// close ends the cache. Renewals in progress have ended with the context of Run.
func (r *run) close() {
	r.cache.Stop()
	r.issuer.close()
}

// own gets the relay's own certificates. An error is final.
func (r *run) own(ctx context.Context) error {
	for _, subject := range r.subject {
		if err := r.secure(ctx, subject); err != nil {
			return err
		}
	}
	for _, zone := range r.zones.used(time.Now()) {
		if strings.HasSuffix(zone, "."+r.opts.Domain) {
			r.load(ctx, r.zones.subject(zone)) // renewed like others
		}
	}
	for _, domain := range r.domains.used(time.Now()) {
		if r.opts.Prove != nil {
			r.load(ctx, domain)
		}
	}
	return nil
}

// secure gets a certificate that is valid now, however long that takes. It returns an
// error that another attempt cannot change, or that of ctx.
func (r *run) secure(ctx context.Context, subject string) error {
	refusals := 0
	for attempt := 0; ; attempt++ {
		if !r.load(ctx, subject) || r.Covers(subject) {
			return nil // maintain renews it when it is due
		}
		err := r.obtain(ctx, subject, refusals)
		if err == nil {
			continue // and load it
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failure := r.explain(err, subject)
		r.mu.Lock()
		r.failed = failure
		r.mu.Unlock()
		if failure.final {
			return failure
		}
		if failure.refused {
			refusals++
		}
		pause := failure.pause(attempt)
		r.opts.Log.Error("certificate not issued", "name", subject, "error", failure.Error(), "fix", failure.Fix(), "again_in", pause.String())
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// obtain orders a certificate once, and keeps it in the storage. After a refusal, the
// rehearsal comes first.
func (r *run) obtain(ctx context.Context, subject string, refusals int) error {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &refusals)
	began := time.Now()
	config := r.configOf(subject)
	order := config.ObtainCertSync
	if r.stored(ctx, subject) { // and has expired
		order = func(ctx context.Context, subject string) error { return config.RenewCertSync(ctx, subject, true) }
	}
	err := order(ctx, subject)
	switch {
	case err == nil:
		r.orders.WithLabelValues(r.kindOf(subject), "issued").Inc()
		r.opts.Log.Info("certificate issued", "name", subject, "authority", r.opts.Authority, "ms", time.Since(began).Milliseconds())
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		r.orders.WithLabelValues(r.kindOf(subject), r.explain(err, subject).outcome()).Inc()
	}
	return err
}

// stored reports whether the storage has a certificate for subject.
func (r *run) stored(ctx context.Context, subject string) bool {
	key := certmagic.StorageKeys.SiteCert(r.config.Issuers[0].IssuerKey(), subject)
	return r.storage.Exists(ctx, key)
}

// load reads a certificate from the storage into memory. It reports whether there is
// none, or one that should be renewed.
func (r *run) load(ctx context.Context, subject string) (due bool) {
	config := r.configOf(subject)
	cert, err := config.CacheManagedCertificate(ctx, subject)
	if err != nil {
		if r.stored(ctx, subject) && ctx.Err() == nil {
			r.opts.Log.Error("certificate not read", "name", subject, "error", err)
		}
		return true
	}
	r.mu.Lock()
	r.pairs[subject] = &cert.Certificate
	if slices.Contains(r.subject, subject) {
		r.failed = nil
	}
	r.mu.Unlock()
	select {
	case r.loaded <- struct{}{}:
	default: // maintain has not seen the one before yet
	}
	return cert.NeedsRenewal(config)
}

// maintain renews certificates until ctx ends.
func (r *run) maintain(ctx context.Context) {
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.loaded:
			timer.Reset(min(r.interval(), soon)) // it may be due now
		case subject := <-r.renewed:
			r.load(ctx, subject)
		case now := <-timer.C:
			every := r.interval()
			r.cache.SetOptions(r.cacheOptions(every))
			r.forgetNames(ctx, r.zones, now)
			r.forgetNames(ctx, r.domains, now)
			if err := r.cache.RenewManagedCertificates(ctx); err != nil {
				r.opts.Log.Error("certificates not renewed", "error", err)
			}
			timer.Reset(every)
		}
	}
}

// interval returns how often certificates are checked: often enough for the one that
// is valid for the shortest time.
func (m *Manager) interval() time.Duration {
	m.mu.RLock()
	defer m.mu.RUnlock()
	every := checkEvery
	for _, pair := range m.pairs {
		every = min(every, pair.Leaf.NotAfter.Sub(pair.Leaf.NotBefore)/checksPerLife)
	}
	return max(every, leastCheckEvery)
}

// GetCertificate returns the certificate for the requested name, else that of the
// domain, whose name identifies this server to the client. It reads memory only.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	name := strings.ToLower(hello.ServerName)
	if pair := cmp.Or(m.pairs[name], m.pairs[wildcard(name)], m.pairs[m.opts.Domain]); pair != nil {
		return pair, nil
	}
	return nil, errors.New("the relay has no certificate yet")
}

// wildcard returns the wildcard that covers a name.
func wildcard(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return "*." + parent
}

// Covers reports whether a certificate that is valid now covers a name.
func (m *Manager) Covers(name string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	pair := cmp.Or(m.pairs[name], m.pairs[wildcard(name)])
	now := time.Now()
	return pair != nil && now.After(pair.Leaf.NotBefore) && now.Before(pair.Leaf.NotAfter)
}

// issued reports whether there is a certificate with a subject that is valid now.
func (m *Manager) issued(subject string) bool {
	return m.Covers(strings.Replace(subject, "*", "x", 1))
}

// InUse returns the relay's own certificates by their subjects. Of those of the zones,
// whose names are secrets, and of users' domains it returns the one that expires first, as
// "zones" and "domains".
func (m *Manager) InUse() map[string]*x509.Certificate {
	m.mu.RLock()
	defer m.mu.RUnlock()
	leaves := map[string]*x509.Certificate{}
	for subject, pair := range m.pairs {
		switch m.kindOf(subject) {
		case zoneKind.label:
			subject = zoneKind.noun
		case domainKind.label:
			subject = domainKind.noun
		}
		if other := leaves[subject]; other == nil || pair.Leaf.NotAfter.Before(other.NotAfter) {
			leaves[subject] = pair.Leaf
		}
	}
	return leaves
}

// sleep reports whether d has passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Describe implements prometheus.Collector.
func (m *Manager) Describe(to chan<- *prometheus.Desc) {
	m.orders.Describe(to)
	to <- authorityDesc
	for _, k := range []kind{zoneKind, domainKind} {
		to <- k.countDesc()
		to <- k.budgetDesc()
	}
}

// Collect implements prometheus.Collector.
func (m *Manager) Collect(to chan<- prometheus.Metric) {
	m.orders.Collect(to)
	to <- prometheus.MustNewConstMetric(authorityDesc, prometheus.GaugeValue, 1, strings.ToValidUTF8(m.opts.Authority, "�"))
	count := map[string]int{}
	m.mu.RLock()
	for subject := range m.pairs {
		count[m.kindOf(subject)]++
	}
	m.mu.RUnlock()
	for _, n := range []*names{m.zones, m.domains} {
		to <- prometheus.MustNewConstMetric(n.countDesc(), prometheus.GaugeValue, float64(count[n.label]))
		to <- prometheus.MustNewConstMetric(n.budgetDesc(), prometheus.GaugeValue, float64(n.left(time.Now())))
	}
}

var authorityDesc = prometheus.NewDesc("devproxy_relay_certificate_authority", "Always 1; the label is the authority that certificates are ordered from.", []string{"url"}, nil)

// countDesc describes how many certificates of a kind are in use.
func (k kind) countDesc() *prometheus.Desc {
	return prometheus.NewDesc("devproxy_relay_"+k.label+"_certificates", "Certificates of "+k.noun+" in use.", nil, nil)
}

// budgetDesc describes how many new names of a kind may get one.
func (k kind) budgetDesc() *prometheus.Desc {
	return prometheus.NewDesc("devproxy_relay_"+k.label+"_certificates_left",
		fmt.Sprintf("New %s that may get a certificate now, of %d in seven days.", k.noun, k.perWeek), nil, nil)
}

// kindRelay is the kind of the relay's own certificates, in metrics.
const kindRelay = "relay"

// kindOf returns what a certificate is for.
func (m *Manager) kindOf(subject string) string {
	switch {
	case slices.Contains(m.subject, subject):
		return kindRelay
	case strings.HasPrefix(subject, "*."):
		return zoneKind.label
	}
	return domainKind.label
}
