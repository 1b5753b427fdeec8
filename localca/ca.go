package localca

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/singleflight"
)

// CA is a root with its key, and the leaves that it signed recently. [Open] and [Load]
// return it. It is safe for concurrent use.
type CA struct {
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	file   string // of root
	reason string // why root was just made; empty when it was found
	now    func() time.Time

	leaves cache
	making singleflight.Group // by name: one leaf for all who need it at once
}

// Open loads the CA in dir, or makes one there. It makes dir and missing folders above it
// with mode 0700. If several processes open a new CA at once, one makes it and all get
// it. Open repairs what is half-written or broken; [CA.Fresh] reports that. A failure to
// read or write is a *[StoreError] and changes nothing.
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
	return store{dir: abs, now: time.Now, lockWait: lockWait}, nil
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
