package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The directories of Let's Encrypt.
const (
	LetsEncrypt        = certmagic.LetsEncryptProductionCA
	LetsEncryptStaging = certmagic.LetsEncryptStagingCA
)

// makeFolder makes the folder. It refuses one that others can read: it holds keys.
func (m *Manager) makeFolder() error {
	if err := os.MkdirAll(m.opts.Folder, 0o700); err != nil {
		return fmt.Errorf("cannot make a folder for certificates: %w", err)
	}
	info, err := os.Stat(m.opts.Folder)
	switch {
	case err != nil:
		return fmt.Errorf("cannot read the folder for certificates: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", m.opts.Folder)
	case info.Mode().Perm()&0o077 != 0:
		if err := os.Chmod(m.opts.Folder, 0o700); err != nil {
			return fmt.Errorf("other users can read the folder of the relay's private keys: %w", err)
		}
	}
	return nil
}

// newRun connects certmagic with the manager.
func newRun(m *Manager) *run {
	r := &run{Manager: m, renewed: make(chan string), loaded: make(chan struct{}, 1)}
	r.cache = certmagic.NewCache(r.cacheOptions(checkEvery))
	template := certmagic.Config{
		RenewalWindowRatio: certmagic.DefaultRenewalWindowRatio,
		KeySource:          certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		OCSP:               certmagic.OCSPConfig{DisableStapling: true},
		Storage:            m.storage, OnEvent: r.event, Logger: newLogger(m.opts.Log),
	}
	r.config, r.users = certmagic.New(r.cache, template), certmagic.New(r.cache, template)
	authority := certmagic.NewACMEIssuer(r.config, certmagic.ACMEIssuer{
		CA: m.opts.Authority, TestCA: m.opts.Rehearsal, Email: m.opts.Email, Agreed: true, TrustedRoots: m.opts.Roots,
		DNS01Solver: solver{m.opts.Texts}, DisableHTTPChallenge: true, DisableTLSALPNChallenge: true,
		Logger: newLogger(m.opts.Log),
	})
	r.config.Issuers = []certmagic.Issuer{issuer{authority}}
	r.issuer = newDomainIssuer(r, issuer{authority})
	r.users.Issuers = []certmagic.Issuer{r.issuer}
	return r
}

func (r *run) cacheOptions(every time.Duration) certmagic.CacheOptions {
	return certmagic.CacheOptions{
		GetConfigForCert:   func(cert certmagic.Certificate) (*certmagic.Config, error) { return r.configOf(cert.Names[0]), nil },
		RenewCheckInterval: every, Logger: zap.NewNop(),
	}
}

// configOf returns the configuration for a certificate.
func (r *run) configOf(subject string) *certmagic.Config {
	if r.kindOf(subject) == domainKind.label {
		return r.users
	}
	return r.config
}

// issuer is an authority without certmagic's search for an email address: that asks
// on standard input, and takes the folder of an account without one for an address.
type issuer struct{ authority *certmagic.ACMEIssuer }

// Issue implements certmagic.Issuer.
func (i issuer) Issue(ctx context.Context, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if i.authority.Email != "" {
		if err := i.authority.PreCheck(ctx, request.DNSNames, false); err != nil {
			return nil, err
		}
	}
	return i.authority.Issue(ctx, request)
}

// GetRenewalInfo implements certmagic.RenewalInfoGetter.
func (i issuer) GetRenewalInfo(ctx context.Context, cert certmagic.Certificate) (acme.RenewalInfo, error) {
	return i.authority.GetRenewalInfo(ctx, cert)
}

// IssuerKey implements certmagic.Issuer.
func (i issuer) IssuerKey() string { return i.authority.IssuerKey() }

// event follows renewals, which certmagic starts itself. Orders report their outcome.
func (r *run) event(ctx context.Context, name string, data map[string]any) error {
	subject, _ := data["identifier"].(string)
	if renewal, _ := data["renewal"].(bool); !renewal || ctx.Value(certmagic.AttemptsCtxKey) != nil {
		return nil
	}
	switch name {
	case "cert_obtained":
		r.orders.WithLabelValues(r.kindOf(subject), "renewed").Inc()
		r.opts.Log.Info("certificate renewed", "name", subject, "authority", r.opts.Authority)
		select {
		case r.renewed <- subject:
		case <-ctx.Done():
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		failure := r.explain(err, subject)
		r.orders.WithLabelValues(r.kindOf(subject), failure.outcome()).Inc()
		remaining, _ := data["remaining"].(time.Duration)
		r.opts.Log.Error("certificate not renewed", "name", subject, "error", failure.Error(), "fix", failure.Fix(), "expires_in", remaining.Round(time.Second).String())
	}
	return nil
}

// solver puts challenges into the DNS. Certmagic's own one asks other servers where
// the zone is, and waits until they have the text; here the answer comes from memory.
type solver struct{ texts Texts }

// Present implements acmez.Solver.
func (s solver) Present(_ context.Context, challenge acme.Challenge) error {
	return s.texts.AddText(challenge.DNS01TXTRecordName(), challenge.DNS01KeyAuthorization())
}

// CleanUp implements acmez.Solver.
func (s solver) CleanUp(_ context.Context, challenge acme.Challenge) error {
	s.texts.RemoveText(challenge.DNS01TXTRecordName(), challenge.DNS01KeyAuthorization())
	return nil
}

var _ acmez.Solver = solver{}

// newLogger returns a logger of certmagic's kind that logs to log, at debug level:
// what matters is logged here in other words.
func newLogger(log *slog.Logger) *zap.Logger {
	return zap.New(logCore{log})
}

type logCore struct{ log *slog.Logger }

// Enabled implements zapcore.Core.
func (c logCore) Enabled(zapcore.Level) bool {
	return c.log.Enabled(context.Background(), slog.LevelDebug)
}

// With implements zapcore.Core.
func (c logCore) With(fields []zapcore.Field) zapcore.Core {
	return logCore{c.log.With(attributes(fields)...)}
}

// Check implements zapcore.Core.
func (c logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	c.log.Debug("certificates: "+entry.Message, attributes(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (c logCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) (list []any) {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	for key, value := range encoder.Fields {
		list = append(list, slog.Any(key, value))
	}
	return list
}

// missing reports whether an error is that a file does not exist.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
