package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// certPoll is how often certificate files are looked at: what renews them does
// so weeks before they end.
const certPoll = 10 * time.Second

// certFiles are the certificates of --cert and --key, read again when they change.
type certFiles struct {
	certs, keys []string
	text        []byte // of all the files, as last read
	pairs       atomic.Pointer[[]*tls.Certificate]
}

// openCerts reads the files, which must cover the relay's own names.
func openCerts(certs, keys []string, domain string) (*certFiles, error) {
	c := &certFiles{certs: certs, keys: keys}
	if _, err := c.load(); err != nil {
		return nil, failf("give the chain in PEM, the server's own certificate first, and the key that belongs to it", "%w", err)
	}
	for _, name := range []string{domain, "x." + domain} {
		if !c.Covers(name) {
			return nil, failf("have one issued for "+domain+" and *."+domain, "no certificate of --cert is for %s; they are for %s",
				strings.Replace(name, "x.", "*.", 1), c.names())
		}
	}
	return c, nil
}

// load reads the files; false when nothing has changed. After an error what
// was read before goes on counting.
func (c *certFiles) load() (changed bool, err error) {
	var all []byte
	var pairs []*tls.Certificate
	for i := range c.certs {
		cert, certErr := os.ReadFile(c.certs[i])
		key, keyErr := os.ReadFile(c.keys[i])
		if err := errors.Join(certErr, keyErr); err != nil {
			return false, fmt.Errorf("cannot read a certificate: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return false, fmt.Errorf("cannot use %s with %s: %w", c.certs[i], c.keys[i], err)
		}
		all = append(append(all, cert...), key...)
		pairs = append(pairs, &pair)
	}
	if bytes.Equal(all, c.text) {
		return false, nil
	}
	c.text = all
	c.pairs.Store(&pairs)
	return true, nil
}

// watch follows the files until ctx ends.
func (c *certFiles) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(certPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := c.load()
		if err != nil {
			log.Error("certificates not read again", "error", err)
		} else if changed {
			log.Info("certificates read again", "names", c.names())
		}
	}
}

// GetCertificate is the first certificate for the name that is asked for, else
// the first: its names tell the client what this server is.
func (c *certFiles) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := c.find(hello.ServerName); pair != nil {
		return pair, nil
	}
	return (*c.pairs.Load())[0], nil
}

// Covers reports whether a certificate is for name.
func (c *certFiles) Covers(name string) bool { return c.find(name) != nil }

func (c *certFiles) find(name string) *tls.Certificate {
	for _, pair := range *c.pairs.Load() {
		if pair.Leaf.VerifyHostname(name) == nil {
			return pair
		}
	}
	return nil
}

func (c *certFiles) names() string {
	var names []string
	for _, pair := range *c.pairs.Load() {
		names = append(names, pair.Leaf.DNSNames...)
	}
	return strings.Join(names, ", ")
}
