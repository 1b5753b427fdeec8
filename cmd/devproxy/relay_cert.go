package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// certPoll is how often certificate files are checked. They are renewed weeks
	// before they expire.
	certPoll = 10 * time.Second
	// certSoon is how long before its expiry a certificate is warned about. For one
	// that is valid for less than three times as long, it is the last third: short
	// certificates are renewed later.
	certSoon = 14 * 24 * time.Hour
	// certWarnEvery is how often a warning is repeated.
	certWarnEvery = 24 * time.Hour
)

// certFiles are the certificates of --cert and --key. They are read again when they
// change.
type certFiles struct {
	domain      string
	certs, keys []string
	pairs       atomic.Pointer[[]*tls.Certificate]

	// The rest belongs to the goroutine that reads the files.
	logged string // the last complaint
	warned map[string]time.Time
}

// openCerts reads the files, which must cover the relay's own names.
func openCerts(certs, keys []string, domain string) (*certFiles, error) {
	c := &certFiles{domain: domain, certs: certs, keys: keys, warned: map[string]time.Time{}}
	c.pairs.Store(new([]*tls.Certificate))
	if _, err := c.load(time.Now()); err != nil {
		return nil, failf("give the chain in PEM, the server's own certificate first, and the key that belongs to it", "%w", err)
	}
	if name, missing := c.uncovered(*c.pairs.Load()); missing {
		return nil, failf("get one for "+domain+" and *."+domain, "no certificate of --cert is for %s; they are for %s", name, c.names())
	}
	return c, nil
}

// uncovered returns a name of the relay that no certificate covers.
func (c *certFiles) uncovered(pairs []*tls.Certificate) (name string, missing bool) {
	for _, name := range []string{c.domain, "x." + c.domain} {
		if findCert(pairs, name, time.Now()) == nil {
			return strings.Replace(name, "x.", "*.", 1), true
		}
	}
	return "", false
}

// load reads the files and uses the good certificates in them. changed reports
// whether the certificates in use have changed. The error describes the
// certificates that are not used: a file that cannot be read, or a certificate
// that is worse than the one in use.
func (c *certFiles) load(now time.Time) (changed bool, err error) {
	pairs, err := c.read()
	if err != nil {
		return false, err
	}
	old := *c.pairs.Load()
	pairs, err = c.choose(old, pairs, now)
	c.pairs.Store(&pairs)
	same := func(a, b *tls.Certificate) bool {
		return bytes.Equal(a.Leaf.Raw, b.Leaf.Raw) && len(a.Certificate) == len(b.Certificate)
	}
	return !slices.EqualFunc(old, pairs, same), err
}

// read reads all files.
func (c *certFiles) read() (pairs []*tls.Certificate, err error) {
	for i := range c.certs {
		cert, certErr := os.ReadFile(c.certs[i])
		key, keyErr := os.ReadFile(c.keys[i])
		if err := errors.Join(certErr, keyErr); err != nil {
			return nil, fmt.Errorf("cannot read a certificate: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cannot use %s with %s: %w", c.certs[i], c.keys[i], err)
		}
		pairs = append(pairs, &pair)
	}
	return pairs, nil
}

// choose keeps an old certificate that is valid now if the new one is not, and all old
// ones if the new ones do not cover the relay's names.
func (c *certFiles) choose(old, pairs []*tls.Certificate, now time.Time) ([]*tls.Certificate, error) {
	if len(old) == 0 {
		return pairs, nil
	}
	var errs []error
	for i := range pairs {
		if reason := invalidAt(pairs[i].Leaf, now); reason != "" && invalidAt(old[i].Leaf, now) == "" {
			errs = append(errs, fmt.Errorf("the certificate in %s %s; the one before stays in use", c.certs[i], reason))
			pairs[i] = old[i]
		}
	}
	name, missing := c.uncovered(pairs)
	if _, before := c.uncovered(old); missing && !before {
		errs = append(errs, fmt.Errorf("no certificate is for %s any more; those before stay in use", name))
		pairs = old
	}
	return pairs, errors.Join(errs...)
}

// watch follows the files until ctx ends, and warns about certificates that are not
// valid or expire soon.
func (c *certFiles) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(certPoll)
	defer tick.Stop()
	c.warn(log, time.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			c.poll(log, now)
		}
	}
}

// poll reads the files again and logs changes. It logs a complaint once.
func (c *certFiles) poll(log *slog.Logger, now time.Time) {
	changed, err := c.load(now)
	complaint := ""
	if err != nil {
		complaint = err.Error()
	}
	if complaint != "" && complaint != c.logged {
		log.Error("certificates not read again", "error", err)
	}
	c.logged = complaint
	if changed {
		clear(c.warned)
		log.Info("certificates read again", "names", c.names())
	}
	c.warn(log, now)
}

// GetCertificate returns the first certificate for the requested name, else the
// first one: its names identify this server to the client. A certificate that
// is valid now comes before one that is not.
func (c *certFiles) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pairs := *c.pairs.Load()
	if pair := findCert(pairs, hello.ServerName, time.Now()); pair != nil {
		return pair, nil
	}
	return pairs[0], nil
}

// Covers reports whether a certificate covers name.
func (c *certFiles) Covers(name string) bool {
	return findCert(*c.pairs.Load(), name, time.Now()) != nil
}

// findCert returns the first certificate for a name that is valid now, else the first
// one for the name; nil if none is for it.
func findCert(pairs []*tls.Certificate, name string, now time.Time) *tls.Certificate {
	var invalid *tls.Certificate
	for _, pair := range pairs {
		switch {
		case pair.Leaf.VerifyHostname(name) != nil:
		case invalidAt(pair.Leaf, now) == "":
			return pair
		case invalid == nil:
			invalid = pair
		}
	}
	return invalid
}

// inUse returns the certificates in use by their files.
func (c *certFiles) inUse() map[string]*x509.Certificate {
	leaves := map[string]*x509.Certificate{}
	for i, pair := range *c.pairs.Load() {
		leaves[c.certs[i]] = pair.Leaf
	}
	return leaves
}

func (c *certFiles) names() string {
	var names []string
	for _, pair := range *c.pairs.Load() {
		names = append(names, pair.Leaf.DNSNames...)
	}
	return strings.Join(names, ", ")
}

// invalidAt says why a certificate is not valid at a time, as the end of a sentence;
// empty if it is valid (RFC 5280 section 4.1.2.5). It does not check the certificates
// of the authority: clients may know others that sign it.
func invalidAt(leaf *x509.Certificate, now time.Time) string {
	const minute = "2006-01-02 15:04 UTC"
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("is not valid before %s; check this machine's clock", leaf.NotBefore.UTC().Format(minute))
	case now.After(leaf.NotAfter):
		return "expired at " + leaf.NotAfter.UTC().Format(minute)
	}
	return ""
}

// expiresSoon reports whether a certificate that is valid now should have been
// renewed.
func expiresSoon(leaf *x509.Certificate, now time.Time) bool {
	return leaf.NotAfter.Sub(now) <= min(certSoon, leaf.NotAfter.Sub(leaf.NotBefore)/3)
}

// warn logs which certificates in use are not valid or expire soon, each once a day.
func (c *certFiles) warn(log *slog.Logger, now time.Time) {
	for i, pair := range *c.pairs.Load() {
		level, text := slog.LevelError, ""
		var when slog.Attr
		switch leaf := pair.Leaf; {
		case now.Before(leaf.NotBefore):
			text, when = "certificate not valid yet: check this machine's clock", slog.Time("valid_from", leaf.NotBefore.UTC())
		case now.After(leaf.NotAfter):
			text, when = "certificate has expired: renew it", slog.Time("ended", leaf.NotAfter.UTC())
		case expiresSoon(leaf, now):
			level, text, when = slog.LevelWarn, "certificate expires soon: renew it", slog.Time("ends", leaf.NotAfter.UTC())
		default:
			continue
		}
		key := c.certs[i] + "\x00" + text
		if last, warned := c.warned[key]; warned && now.Sub(last) < certWarnEvery {
			continue
		}
		c.warned[key] = now
		log.LogAttrs(context.Background(), level, text, slog.String("file", c.certs[i]), slog.Any("names", pair.Leaf.DNSNames), when)
	}
}
