package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"
	"unicode"
)

// organization is the O of every certificate of the CA.
const organization = "devproxy"

const (
	// rootYears is how long a root is valid. Each new one must be trusted by hand, so it
	// outlives most machines.
	rootYears = 10
	// clockSkew is how far certificates are backdated, for virtual machines and containers
	// whose clock lags after sleep.
	clockSkew = 24 * time.Hour
	// longestCommonName is ub-common-name of RFC 5280 appendix A.1, in characters.
	longestCommonName = 64
	// serialBytes is the size of the random serial numbers; RFC 5280 section
	// 4.1.2.2 allows 20 bytes.
	serialBytes = 16
)

// newKey makes a P-256 key, the only kind in use: all clients support it, and it is made in
// microseconds, so a handshake can wait for it.
func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// signRoot makes the self-signed certificate for key, constrained to domain.
func signRoot(key *ecdsa.PrivateKey, now time.Time, domain string) (*x509.Certificate, error) {
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject: pkix.Name{
			Organization: []string{organization},
			CommonName:   rootName(domain, owner()),
			// NSS and macOS find a root by its subject. With the key in it, an old root and
			// a new one of the same person differ.
			SerialNumber: hex.EncodeToString(id[:4]),
		},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		SubjectKeyId:          id,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{domain},
	}
	template.PermittedIPRanges, template.ExcludedIPRanges = ranges(domain)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// checkRoot returns why cert is not a root that signRoot could have made: one without the
// constraints could sign certificates for any site.
func checkRoot(cert *x509.Certificate, domain string) error {
	permitted, excluded := ranges(domain)
	switch {
	case !cert.IsCA || !cert.MaxPathLenZero || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("it is not a root of path length 0")
	case !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || len(cert.UnknownExtKeyUsage) > 0:
		return errors.New("it is not limited to TLS servers")
	case !cert.PermittedDNSDomainsCritical ||
		!slices.Equal(cert.PermittedDNSDomains, []string{domain}) ||
		!slices.EqualFunc(cert.PermittedIPRanges, permitted, sameRange) ||
		!slices.EqualFunc(cert.ExcludedIPRanges, excluded, sameRange):
		return errors.New("it is not constrained to " + domain)
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return errors.New("its signature is wrong")
	}
	return nil
}

func sameRange(a, b *net.IPNet) bool { return a.String() == b.String() }

// keyID is a subject key identifier by method 1 of RFC 7093 section 2. It depends only on
// the key, so leaves of a key whose root was made again still verify with the old root.
func keyID(key *ecdsa.PublicKey) ([]byte, error) {
	point, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}

// newSerial is random, so that certificates of an issuer have different ones without a
// counter. crypto/rand never fails.
func newSerial() *big.Int {
	var b [serialBytes]byte
	rand.Read(b[:])
	b[0] |= 1 // RFC 5280 forbids zero
	return new(big.Int).SetBytes(b[:])
}

// rootName is the name that a person reads in the list of a trust store.
func rootName(domain, owner string) string {
	name := organization + " local CA"
	if domain != suffix {
		return cut(organization + " CA for " + domain + " of " + owner)
	}
	if owner != "" {
		name += " for " + owner
	}
	return cut(name)
}

// cut shortens a common name to what RFC 5280 allows.
func cut(name string) string {
	runes := []rune(name)
	return string(runes[:min(len(runes), longestCommonName)])
}

// owner is USER@HOST as far as the system knows them, without characters that a dialog
// cannot show.
func owner() string {
	var parts []string
	if u, err := user.Current(); err == nil {
		parts = append(parts, u.Username)
	}
	if host, err := os.Hostname(); err == nil {
		parts = append(parts, host)
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.Join(parts, "@"))
}
