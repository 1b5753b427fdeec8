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

// CA is a root with its key, and the leaves it signed lately. It is made by
// [Open] or [Load], and safe for concurrent use.
type CA struct {
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	file   string // where root is kept
	reason string // why root was made just now; empty when it was found
	now    func() time.Time

	leaves cache
	making singleflight.Group // by name: one key for all who ask at once
}

// Open loads the CA kept in dir, or makes one there; dir, and folders above it
// that are missing, are made with mode 0700. Of several processes that open a
// new CA at once one makes it and all get it. What is half-written or broken is
// mended, as [CA.Fresh] tells. A failure to read or write is a *[StoreError] and
// leaves what is there as it was.
func Open(dir string) (*CA, error) {
	s, err := newStore(dir)
	if err != nil {
		return nil, err
	}
	return s.open()
}

// Load is Open for callers who must change nothing: it only reads, and waits for
// nobody. Where Open would make a root, or is just making one, its error wraps
// [ErrNoCA].
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

// Root is the certificate to trust. Do not change it.
func (ca *CA) Root() *x509.Certificate { return ca.root }

// RootPEM is the root as one PEM block.
func (ca *CA) RootPEM() []byte { return encodePEM(certificateBlock, ca.root.Raw) }

// RootFile is the absolute path of the root in PEM form.
func (ca *CA) RootFile() string { return ca.file }

// Fresh reports whether Open made this root, or wrote its certificate anew, so
// that it has to be trusted (again); and if so why, as a clause for the user.
func (ca *CA) Fresh() (made bool, reason string) { return ca.reason != "", ca.reason }

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
