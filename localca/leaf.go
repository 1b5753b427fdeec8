package localca

import (
	"container/list"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// leafLife is how long a leaf is valid, without its backdating. Apple's systems refuse more
// than 825 days (support.apple.com/103769). The browsers' limit of 398 days applies only to
// leaves of the roots that come with a system (support.apple.com/102028); this is well below
// that, too. Leaves are never stored, so a short life costs nothing.
const leafLife = 90 * 24 * time.Hour

// leaf is a certificate with the time of its renewal.
type leaf struct {
	cert    *tls.Certificate
	renewAt time.Time
}

// valid reports whether a client accepts the leaf at the time now.
func (l *leaf) valid(now time.Time) bool {
	return !now.Before(l.cert.Leaf.NotBefore) && !now.After(l.cert.Leaf.NotAfter)
}

// fresh reports whether the leaf needs no renewal.
func (l *leaf) fresh(now time.Time) bool { return l.valid(now) && now.Before(l.renewAt) }

// GetCertificate implements the field of that name in [tls.Config]. The leaf
// has exactly the name that the client sends. A client without one, which was
// given an address, gets a leaf for the address that it reached. The client
// gets an alert instead of the error, so log the error.
func (ca *CA) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" {
		name = localName(hello.Conn)
	}
	wanted, err := parseSAN(name, ca.domain)
	if err != nil {
		return nil, err
	}
	if wanted.wildcard() {
		return nil, &NameError{Name: name, Reason: "a client must send the name of one host, not a wildcard"}
	}
	return ca.leafFor(wanted)
}

// localName is the text of the address that a client reached; localhost for a connection
// without one, such as a unix socket's.
func localName(conn net.Conn) string {
	if conn != nil {
		if addr, ok := conn.LocalAddr().(*net.TCPAddr); ok {
			return addr.AddrPort().Addr().WithZone("").Unmap().String()
		}
	}
	return suffix
}

// Issue returns a leaf for a DNS name, the text of an address, or a wildcard such as
// *.app.localhost. If the root may not sign it, the error is a *[NameError]. Callers share
// the leaf and must not change it.
//
// The chain is only the leaf: a client that trusts the root has it, and it would not help
// others (RFC 8446 section 4.4.2 lets servers omit it).
func (ca *CA) Issue(name string) (*tls.Certificate, error) {
	wanted, err := parseSAN(name, ca.domain)
	if err != nil {
		return nil, err
	}
	return ca.leafFor(wanted)
}

// Permits reports whether Issue would sign name.
func (ca *CA) Permits(name string) bool {
	_, err := parseSAN(name, ca.domain)
	return err == nil
}

// leafFor returns the cached leaf, or a new one. Callers that need the same new one at once
// share it. No lock is held while it is made, so others do not wait for it. A failure is not
// cached.
func (ca *CA) leafFor(name san) (*tls.Certificate, error) {
	key := name.String()
	old, ok := ca.leaves.lookup(key)
	if ok && old.fresh(ca.now()) {
		return old.cert, nil
	}
	made, err, _ := ca.making.Do(key, func() (any, error) {
		// Another call may have made it since the lookup above.
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
		return old.cert, nil // due for renewal, but still valid
	default:
		return nil, fmt.Errorf("issue a leaf for %s: %w", key, err)
	}
}

// signLeaf makes a key and signs a leaf for it.
func (ca *CA) signLeaf(name san) (*leaf, error) {
	now := ca.now()
	if now.After(ca.root.NotAfter) {
		return nil, fmt.Errorf("%w: the root expired on %s; restart to make a new one", ErrNoCA, ca.root.NotAfter.Format(time.DateOnly))
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
	// A leaf is valid only while its root is.
	template.NotBefore = slices.MaxFunc([]time.Time{now.Add(-clockSkew), ca.root.NotBefore}, time.Time.Compare)
	template.NotAfter = slices.MinFunc([]time.Time{now.Add(leafLife), ca.root.NotAfter}, time.Time.Compare)
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

// leafTemplate is a leaf without its dates. The subject has no common name: clients read
// only the SAN, and a common name has at most 64 characters.
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

// renewAt is when a third of a leaf's life is left. A leaf that expires with the root is
// never renewed: the next one would expire at the same time, so in the root's last weeks
// every handshake would make one.
func (ca *CA) renewAt(end time.Time) time.Time {
	if !end.Before(ca.root.NotAfter) {
		return end
	}
	return end.Add(-leafLife / 3)
}

// maxLeaves bounds the leaves in memory, about 3 KB each. A project has tens of names. A
// client that invents names costs a leaf each, but no more memory.
const maxLeaves = 1024

// cache keeps the most recently used leaves. The zero value is empty and ready to use.
// Its lock is not held while a leaf is made.
type cache struct {
	mu     sync.Mutex
	byName map[string]*list.Element
	recent list.List // of *cacheEntry, the most recently used in front
}

type cacheEntry struct {
	name string
	leaf *leaf
}

// lookup returns the leaf of a name, whatever its age. It counts as a use.
func (c *cache) lookup(name string) (*leaf, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byName[name]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cacheEntry).leaf, true
}

// add replaces the leaf of a name, and drops the least recently used leaf if there are
// too many.
func (c *cache) add(name string, l *leaf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byName[name]; ok {
		e.Value.(*cacheEntry).leaf = l
		c.recent.MoveToFront(e)
		return
	}
	if c.byName == nil {
		c.byName = make(map[string]*list.Element)
	}
	c.byName[name] = c.recent.PushFront(&cacheEntry{name, l})
	if c.recent.Len() > maxLeaves {
		oldest := c.recent.Remove(c.recent.Back()).(*cacheEntry)
		delete(c.byName, oldest.name)
	}
}
