// Package localca is a certificate authority for one person's machine. It signs TLS server
// certificates for localhost, the names below it, and loopback addresses. Clients accept
// nothing else that it could sign. [OpenDomain] makes another root, for one other domain.
//
// Browsers are made to trust the root, so it can do little. Its name constraints (RFC 5280
// section 4.2.1.10) are critical: someone who steals the key still cannot impersonate
// example.com. It may sign only leaves (path length 0), and those only for servers (EKU
// serverAuth). The key never leaves its folder; it has mode 0600 in a folder of mode 0700.
//
// Leaves are made in memory when a name is first used, are never stored, and live for
// months rather than years. Each has one exact name: a browser treats localhost as a
// public suffix and refuses *.localhost.
//
// Trusting a root takes work, so it is kept as long as possible. [Open] makes a new one
// only when no usable one exists, renames what it replaces instead of deleting it, and
// reports it in [CA.Fresh].
package localca

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/singleflight"
)

// ErrNoCA is wrapped by the errors of [Load] when the folder has no usable CA: none was
// made yet, or it is broken. [Open] fixes both.
var ErrNoCA = errors.New("no usable local CA")

// FirstCA is the reason that [CA.Fresh] returns when no CA existed before.
const FirstCA = "none existed yet"

// CA is a root with its key, and the leaves that it signed recently. [Open] and [Load]
// return it. It is safe for concurrent use.
type CA struct {
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	domain string // to which root is constrained
	file   string // of root
	reason string // why root was just made; empty when it was found
	now    func() time.Time

	leaves cache
	making singleflight.Group // by name: one leaf for all callers that need it at once
}

// Open loads the CA in dir, or makes one there. It makes dir and missing
// folders above it with mode 0700. If several processes open a new CA at once,
// one makes it and all get it. Open repairs half-written or broken files;
// [CA.Fresh] reports that. A failure to read or write is a *[StoreError] and
// changes nothing.
func Open(dir string) (*CA, error) {
	s, err := newStore(dir)
	if err != nil {
		return nil, err
	}
	return s.open()
}

// Load is Open for callers that must not change anything: it only reads, and never waits.
// Where Open would make a root, or is making one, the error wraps [ErrNoCA].
func Load(dir string) (*CA, error) {
	s, err := newStore(dir)
	if err != nil {
		return nil, err
	}
	return s.load()
}

func (s store) load() (*CA, error) {
	found, err := s.read()
	if err != nil {
		return nil, err
	}
	if found.fault != "" {
		return nil, fmt.Errorf("%w in %s: %s", ErrNoCA, s.dir, found.fault)
	}
	return s.newCA(found.key, found.root, ""), nil
}

func newStore(dir string) (store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return store{}, fmt.Errorf("find the folder of the local CA: %w", err)
	}
	return store{dir: abs, domain: suffix, now: time.Now, lockWait: lockWait}, nil
}

// Root returns the certificate to trust. It must not be changed.
func (ca *CA) Root() *x509.Certificate { return ca.root }

// RootPEM returns the root as one PEM block.
func (ca *CA) RootPEM() []byte { return encodePEM(certificateBlock, ca.root.Raw) }

// RootFile returns the absolute path of the root, in PEM.
func (ca *CA) RootFile() string { return ca.file }

// Fresh reports whether Open made this root, or its certificate, so that it must be
// trusted again. reason is why, as a clause for the user.
func (ca *CA) Fresh() (made bool, reason string) { return ca.reason != "", ca.reason }

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
