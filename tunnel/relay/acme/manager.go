// Package acme gets a relay's certificates from an authority (RFC 8555), renews them
// and keeps them in memory: one for the relay's domain, one for its wildcard, and one
// for the zone of each key whose hosts share cookies. It proves the domain by DNS-01
// challenges, which the relay's own DNS server answers.
package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
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
	// NoZones is why zones get no certificate, as the end of a sentence; empty if they
	// do.
	NoZones string
}

// Manager has the certificates. It is made by New.
type Manager struct {
	opts    Options
	subject []string // of the relay's own certificates
	storage *certmagic.FileStorage
	zones   *zones
	orders  *prometheus.CounterVec // by kind and outcome

	first    chan error // has the result of First, once
	finished sync.Once
	queue    chan string // zones to order

	mu     sync.RWMutex
	pairs  map[string]*tls.Certificate // by subject
	failed error                       // of the last order of the relay's own certificates
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
		first: make(chan error, 1), queue: make(chan string, maxQueue), pairs: map[string]*tls.Certificate{},
	}
	if err := m.makeFolder(); err != nil {
		return nil, err
	}
	var err error
	if m.zones, err = openZones(m.storage, o.Domain); err != nil {
		return nil, err
	}
	return m, nil
}

// First returns a channel with the outcome of the first Run: nil when the relay's own
// certificates are in memory, or the error for which they never will be.
func (m *Manager) First() <-chan error { return m.first }

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
	run.group.Go(func() {
		err := run.own(ctx)
		if ctx.Err() == nil {
			m.finished.Do(func() { m.first <- err })
		}
	})
	run.group.Go(func() { run.orderZones(ctx) })
	run.maintain(ctx)
	run.group.Wait()
}

// run is one Run.
type run struct {
	*Manager
	cache   *certmagic.Cache
	config  *certmagic.Config
	renewed chan string   // subjects with a newer certificate in the storage
	loaded  chan struct{} // a certificate was loaded, which may need checks more often
	group   sync.WaitGroup
}

// close ends the cache. Renewals in progress have ended with the context of Run.
func (r *run) close() { r.cache.Stop() }

// own gets the relay's own certificates. An error is final.
func (r *run) own(ctx context.Context) error {
	for _, subject := range r.subject {
		if err := r.secure(ctx, subject); err != nil {
			return err
		}
	}
	for _, zone := range r.zones.used(time.Now()) {
		r.load(ctx, "*."+zone) // renewed like others
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
		failure := explain(err, r.opts)
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
	order := r.config.ObtainCertSync
	if r.stored(ctx, subject) { // and has expired
		order = func(ctx context.Context, subject string) error { return r.config.RenewCertSync(ctx, subject, true) }
	}
	err := order(ctx, subject)
	switch {
	case err == nil:
		r.orders.WithLabelValues(r.kind(subject), "issued").Inc()
		r.opts.Log.Info("certificate issued", "name", subject, "authority", r.opts.Authority, "ms", time.Since(began).Milliseconds())
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		r.orders.WithLabelValues(r.kind(subject), explain(err, r.opts).outcome()).Inc()
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
	cert, err := r.config.CacheManagedCertificate(ctx, subject)
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
	return cert.NeedsRenewal(r.config)
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
			r.forgetZones(ctx, now)
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

// InUse returns the relay's own certificates by their subjects, and of those of the
// zones, whose names are secrets, the one that expires first, as "zones".
func (m *Manager) InUse() map[string]*x509.Certificate {
	m.mu.RLock()
	defer m.mu.RUnlock()
	leaves := map[string]*x509.Certificate{}
	for subject, pair := range m.pairs {
		if !slices.Contains(m.subject, subject) {
			subject = "zones"
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
	to <- zonesDesc
	to <- budgetDesc
	to <- authorityDesc
}

// Collect implements prometheus.Collector.
func (m *Manager) Collect(to chan<- prometheus.Metric) {
	m.orders.Collect(to)
	m.mu.RLock()
	count := 0
	for subject := range m.pairs {
		if !slices.Contains(m.subject, subject) {
			count++
		}
	}
	m.mu.RUnlock()
	to <- prometheus.MustNewConstMetric(zonesDesc, prometheus.GaugeValue, float64(count))
	to <- prometheus.MustNewConstMetric(authorityDesc, prometheus.GaugeValue, 1, strings.ToValidUTF8(m.opts.Authority, "�"))
	to <- prometheus.MustNewConstMetric(budgetDesc, prometheus.GaugeValue, float64(m.zones.left(time.Now())))
}

var (
	zonesDesc     = prometheus.NewDesc("devproxy_relay_zone_certificates", "Certificates of zones in use.", nil, nil)
	authorityDesc = prometheus.NewDesc("devproxy_relay_certificate_authority", "Always 1; the label is the authority that certificates are ordered from.", []string{"url"}, nil)
	budgetDesc    = prometheus.NewDesc("devproxy_relay_zone_certificates_left",
		fmt.Sprintf("New zones that may get a certificate now, of %d in seven days.", zonesPerWeek), nil, nil)
)
