package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// pinPrefix names the hash of a pin.
const pinPrefix = "sha256/"

// Pin returns the pin of a certificate's key.
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.StdEncoding.EncodeToString(sum[:])
}

// tlsConfig returns the TLS configuration of every lane. Versions below 1.3 are
// refused: their binding is not unique to a connection (RFC 7627).
func tlsConfig(t target, opts Options) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: t.host, RootCAs: opts.Roots}
	if opts.Pin == "" {
		return config, nil
	}
	text, ok := strings.CutPrefix(opts.Pin, pinPrefix)
	if sum, err := base64.StdEncoding.DecodeString(text); !ok || err != nil || len(sum) != sha256.Size {
		return nil, &Error{Reason: ReasonRelay, Op: "use the pin", Addr: fmt.Sprintf("%q", opts.Pin), Err: errors.New("it is not the SHA-256 of a key"), Fix: "write " + pinPrefix + " and 44 characters of base64"}
	}
	config.InsecureSkipVerify = true // VerifyConnection verifies every connection
	config.VerifyConnection = func(state tls.ConnectionState) error { return verifyPin(state, opts.Pin) }
	return config, nil
}

// pinError is the error of a certificate with another key than the pinned one.
type pinError struct{ got, want string }

func (e *pinError) Error() string {
	return fmt.Sprintf("its certificate has the key %s, but the pinned key is %s", e.got, e.want)
}

func verifyPin(state tls.ConnectionState, want string) error {
	got := Pin(state.PeerCertificates[0]) // the handshake fails without one
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return &pinError{got, want}
	}
	return nil
}

// unverified explains a TLS handshake that failed.
func (t target) unverified(err error) error {
	e := func(reason Reason, err error, fix string) error {
		return &Error{Reason: reason, Op: "verify", Addr: t.String(), Err: err, Fix: fix}
	}
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var pin *pinError
	switch {
	case errors.As(err, &pin):
		return e(ReasonPin, pin, fmt.Sprintf("if the relay has a new key: devproxy relay login %s --pin %s", t, pin.got))
	case errors.As(err, &unknown) && errors.As(err, &unverified):
		return t.unknownIssuer(unverified.UnverifiedCertificates, err)
	case errors.As(err, &name):
		return e(ReasonCertificate, fmt.Errorf("its certificate is for %s", namesOf(name.Certificate)), "check the relay's name")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		text, fix := outdated(invalid.Cert, time.Now())
		return e(ReasonCertificate, errors.New(text), fix)
	case errors.As(err, &unverified):
		return e(ReasonCertificate, err, "have the relay's operator check its certificate")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return t.broken(opTalk, fmt.Errorf("no answer to the TLS handshake within %v", shakeTimeout))
	}
	return t.broken(opTalk, fmt.Errorf("the TLS handshake broke off: %w", plainly(err)))
}

// outdated explains a certificate that has expired or is not valid yet, if this
// machine's clock is right (RFC 5280 section 4.1.2.5).
func outdated(cert *x509.Certificate, now time.Time) (text, fix string) {
	const layout = "2006-01-02 15:04 UTC"
	clock := "this machine's clock, which says " + now.UTC().Format(layout)
	if now.Before(cert.NotBefore) {
		return "its certificate is not valid before " + cert.NotBefore.UTC().Format(layout), "check " + clock
	}
	return "its certificate expired on " + cert.NotAfter.UTC().Format(layout), "have the relay's operator renew it; or check " + clock
}

// unknownIssuer explains a certificate whose signer is not trusted. Where a public
// relay is expected, it belongs to a company's proxy, which decrypts.
func (t target) unknownIssuer(chain []*x509.Certificate, err error) error {
	e := &Error{Reason: ReasonInspected, Op: "verify", Addr: t.String(), Err: err}
	if len(chain) > 0 {
		issuer := chain[len(chain)-1].Issuer
		e.Err = fmt.Errorf("its certificate is signed by %q, which this machine does not trust", printable(cmp.Or(issuer.CommonName, issuer.String())))
		e.Fix = fmt.Sprintf("if that is a company's proxy, %s\nif it is the relay's own:\ndevproxy relay login %s --pin %s", t.inspectedFix(), t, Pin(chain[0]))
	}
	if isLocal(t.host) {
		e.Reason, e.Fix = ReasonCertificate, "run the relay and devproxy here with the same DEVPROXY_HOME: its CA signs for both"
	}
	return e
}

// inspectedFix is the fix for a proxy that decrypts.
func (t target) inspectedFix() string {
	return fmt.Sprintf("have this network's operator leave %s out of TLS inspection, or share from another network", t.host)
}

// namesOf lists the names of a certificate, at most three.
func namesOf(cert *x509.Certificate) string {
	names := cert.DNSNames
	if len(names) > 3 {
		names = append(names[:3:3], "…")
	}
	if len(names) == 0 {
		return "no name at all"
	}
	return printable(strings.Join(names, ", "))
}
