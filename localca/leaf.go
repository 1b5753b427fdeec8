package localca

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"time"
)

// leafLife is how long a leaf is good for, its backdating apart. Apple's systems
// refuse more than 825 days (support.apple.com/103769). The 398 days of all
// browsers bind only leaves of the roots that come with a system
// (support.apple.com/102028); this is well below those too. Leaves are never
// stored, so that a short life costs nothing.
const leafLife = 90 * 24 * time.Hour

// leaf is a certificate with the moment from which a newer one is wanted.
type leaf struct {
	cert    *tls.Certificate
	renewAt time.Time
}

// valid reports whether a client whose clock says now accepts the leaf.
func (l *leaf) valid(now time.Time) bool {
	return !now.Before(l.cert.Leaf.NotBefore) && !now.After(l.cert.Leaf.NotAfter)
}

// fresh reports whether the leaf needs no renewal.
func (l *leaf) fresh(now time.Time) bool { return l.valid(now) && now.Before(l.renewAt) }

// GetCertificate is made for the field of that name in [tls.Config]. The leaf is
// for exactly the name the client asks for; a client that names none, as one
// that was given an address does, gets a leaf for the address it reached.
// The error never reaches the client, which sees an alert; log it.
func (ca *CA) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" {
		name = localName(hello.Conn)
	}
	wanted, err := parseSAN(name)
	if err != nil {
		return nil, err
	}
	if wanted.wildcard() {
		return nil, &NameError{Name: name, Reason: "a client asks for one host, not for a wildcard"}
	}
	return ca.leafFor(wanted)
}

// localName is the text of the address a client reached; for a connection
// without one, such as a unix socket's, localhost.
func localName(conn net.Conn) string {
	if conn == nil {
		return suffix
	}
	addr, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return suffix
	}
	return addr.AddrPort().Addr().WithZone("").Unmap().String()
}

// Issue returns a leaf for a DNS name, the text of an address, or a wildcard
// such as *.app.localhost. Where the root may not sign it the error is a
// *[NameError]. The leaf is shared between callers; do not change it.
//
// The chain is the leaf alone: a client that trusts the root has it, and for all
// others it would be no help (RFC 8446 section 4.4.2 lets servers omit it).
func (ca *CA) Issue(name string) (*tls.Certificate, error) {
	wanted, err := parseSAN(name)
	if err != nil {
		return nil, err
	}
	return ca.leafFor(wanted)
}

// Permits reports whether Issue would sign name.
func (ca *CA) Permits(name string) bool {
	_, err := parseSAN(name)
	return err == nil
}

// leafFor returns the cached leaf, or a new one. Callers who want the same new
// one at once share it, and others never wait for it: no lock is held meanwhile.
// A failure is not remembered.
func (ca *CA) leafFor(name san) (*tls.Certificate, error) {
	key := name.String()
	old, ok := ca.leaves.lookup(key)
	if ok && old.fresh(ca.now()) {
		return old.cert, nil
	}
	made, err, _ := ca.making.Do(key, func() (any, error) {
		// Whoever looked just before a flight landed takes off just after it.
		if l, ok := ca.leaves.lookup(key); ok && l.fresh(ca.now()) {
			return l.cert, nil
		}
		l, err := ca.signLeaf(name)
		if err != nil {
			return nil, err
		}
		ca.leaves.add(key, l)
		return l.cert, nil
	})
	switch {
	case err == nil:
		return made.(*tls.Certificate), nil
	case ok && old.valid(ca.now()):
		return old.cert, nil // due for renewal, yet better than no answer
	default:
		return nil, fmt.Errorf("issue a leaf for %s: %w", key, err)
	}
}

// signLeaf makes a key and signs a leaf for it.
func (ca *CA) signLeaf(name san) (*leaf, error) {
	now := ca.now()
	if now.After(ca.root.NotAfter) {
		return nil, fmt.Errorf("%w: the root ended on %s; start again to make a new one", ErrNoCA, ca.root.NotAfter.Format(time.DateOnly))
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	template := leafTemplate(name, id)
	// A chain is only as good as its shortest certificate.
	template.NotBefore = later(now.Add(-clockSkew), ca.root.NotBefore)
	template.NotAfter = earlier(now.Add(leafLife), ca.root.NotAfter)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.root, &key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &leaf{
		cert:    &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed},
		renewAt: ca.renewAt(parsed.NotAfter),
	}, nil
}

// leafTemplate is a leaf without its dates. The subject has no common name:
// clients read only the SAN, and a common name ends at 64 characters.
func leafTemplate(name san, keyID []byte) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{Organization: []string{organization}},
		SubjectKeyId:          keyID,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name.dns != "" {
		template.DNSNames = []string{name.dns}
	} else {
		template.IPAddresses = []net.IP{name.ip.AsSlice()}
	}
	return template
}

// renewAt is when a third of a leaf's life is left. A leaf that ends with the
// root is never renewed: the next one would end then too, so that in the root's
// last weeks every handshake would make one.
func (ca *CA) renewAt(end time.Time) time.Time {
	if !end.Before(ca.root.NotAfter) {
		return end
	}
	return end.Add(-leafLife / 3)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
