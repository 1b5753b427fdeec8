package forward

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// isTLS reports whether err is a failed handshake: nothing was sent, and the
// next try would fail alike.
func isTLS(err error) bool {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verification) ||
		errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid)
}
