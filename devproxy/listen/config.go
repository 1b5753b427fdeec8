package listen

import (
	"crypto/tls"
	"log/slog"
)

// Config is what a Set is to listen on. Addresses are "8443", ":8443",
// "127.0.0.1:8443" or "[::1]:8443", with port 0 for any free one. An address
// that is given is never replaced by another; an empty one stands for the
// default port with its fallback.
type Config struct {
	HTTPS string // empty: 443, else 8443, else the next free port
	HTTP  string // empty: 80, else none

	// TLS holds the certificates (GetCertificate). Protocols and the lowest
	// version are set here: HTTP/2 and HTTP/1.1, TLS 1.2. Must not be nil.
	TLS *tls.Config

	// Log gets what no caller can be told of: failed handshakes (debug) and
	// accepts that fail (warning). Nil discards it.
	Log *slog.Logger
}

// Equal reports whether both ask for the same addresses.
func (c Config) Equal(other Config) bool { return c.HTTPS == other.HTTPS && c.HTTP == other.HTTP }

// serverTLS is a copy of the certificates' configuration for accepting.
func serverTLS(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}
