package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"
)

const (
	// certSoon is how long before its end a certificate is warned about. One that
	// lives for less than three times as long is warned about in its last third:
	// what renews such certificates does so later.
	certSoon = 14 * 24 * time.Hour
	// certWarnEvery is how often a warning is repeated.
	certWarnEvery = 24 * time.Hour
)

// invalidAt says why a certificate is not valid at a time, as the end of a
// sentence; empty when it is valid (RFC 5280 section 4.1.2.5). The certificates
// of its authority are not looked at: clients may know others that sign it.
func invalidAt(leaf *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("is not valid before %s; check this machine's clock", certTime(leaf.NotBefore))
	case now.After(leaf.NotAfter):
		return "ended at " + certTime(leaf.NotAfter)
	}
	return ""
}

// endsSoon reports whether a certificate that is valid now should have been
// renewed.
func endsSoon(leaf *x509.Certificate, now time.Time) bool {
	return leaf.NotAfter.Sub(now) <= min(certSoon, leaf.NotAfter.Sub(leaf.NotBefore)/3)
}

func certTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// warn logs which certificates in use are not valid or end soon, each once a day.
func (c *certFiles) warn(log *slog.Logger, now time.Time) {
	for i, pair := range *c.pairs.Load() {
		level, text := slog.LevelError, ""
		var when slog.Attr
		switch leaf := pair.Leaf; {
		case now.Before(leaf.NotBefore):
			text, when = "certificate not valid yet: check this machine's clock", slog.Time("valid_from", leaf.NotBefore.UTC())
		case now.After(leaf.NotAfter):
			text, when = "certificate has ended: renew it", slog.Time("ended", leaf.NotAfter.UTC())
		case endsSoon(leaf, now):
			level, text, when = slog.LevelWarn, "certificate ends soon: renew it", slog.Time("ends", leaf.NotAfter.UTC())
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
