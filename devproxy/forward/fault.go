package forward

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// fault puts an error of the transport into words that help.
func fault(m *member, err error) *UpstreamError {
	e := &UpstreamError{Member: m.Text, Err: err}
	var failed *dialError
	if errors.As(err, &failed) {
		e.Attempts = failed.Attempts
	}
	for _, describe := range []func(*member, error) (reason, hint string){dnsFault, tlsFault, protocolFault, connectionFault} {
		if e.Reason, e.Hint = describe(m, err); e.Reason != "" {
			return e
		}
	}
	e.Reason = "failed"
	return e
}

func dnsFault(_ *member, err error) (reason, hint string) {
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return "", ""
	}
	return "has a name that does not resolve", "check the spelling of " + dns.Name + " and your network"
}

func tlsFault(_ *member, err error) (reason, hint string) {
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var alert tls.AlertError
	switch {
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "does not speak TLS", `write "http://" instead of "https://"`
	case errors.As(err, &unknown):
		return "has a certificate that nobody vouches for", "if you trust it: tls_skip_verify = true"
	case errors.As(err, &verify):
		return "has a certificate that is not valid for it", "if you trust it all the same: tls_skip_verify = true"
	case errors.As(err, &alert):
		return "refused the TLS handshake", "check the name in the URL: it is what the upstream is asked for"
	}
	return "", ""
}

// protocolFault knows net/http by its words: the errors have no types.
func protocolFault(m *member, err error) (reason, hint string) {
	text := err.Error()
	switch {
	case strings.Contains(text, `\x15\x03`), strings.Contains(text, "HTTP request to an HTTPS server"):
		return "speaks TLS", `write "https://" before its address`
	case strings.Contains(text, "malformed HTTP response") && strings.Contains(text, `\x00\x00`):
		return "speaks HTTP/2 without TLS", `write "h2c://" before its address`
	case m.Scheme == plan.SchemeH2C && (strings.Contains(text, "frame too large") || strings.Contains(text, "could not be established") || strings.Contains(text, "HTTP/1.1")):
		return "does not speak HTTP/2 without TLS", `write "http://" instead of "h2c://"`
	case strings.Contains(text, "server response headers exceeded"):
		return "answered with a head of more than 1 MiB", "look for a cookie or header that grows"
	case strings.Contains(text, "malformed"), strings.Contains(text, "invalid header"), strings.Contains(text, "Content-Length"),
		strings.Contains(text, "unsupported transfer encoding"), strings.Contains(text, "too many transfer encodings"):
		return "answered with something that is not HTTP", "is this the right port?"
	}
	return "", ""
}

func connectionFault(_ *member, err error) (reason, hint string) {
	const see = "its own output may say why; it may have crashed or be restarting"
	var timeout net.Error
	var failed *dialError
	switch {
	case isReset(err):
		return "reset the connection before it answered", see
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "server closed idle connection"):
		return "closed the connection before it answered", see
	case errors.As(err, &failed):
		return "cannot be reached", "check its address and your network"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "did not answer the TLS handshake", see
	case strings.Contains(err.Error(), "http2:"), strings.Contains(err.Error(), "connection broken"):
		return "lost the connection before it answered", see
	}
	return "", ""
}
