package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// maxFile bounds the size of a key or certificate; both are below 2 KB.
const maxFile = 64 << 10

// The PEM types of the two files.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// missing is the fault of a file that does not exist.
const missing = "was missing"

// found is the content of a folder. Every state that a crash, a full disk or a person can
// leave is one of these, so each can be repaired.
type found struct {
	key   *ecdsa.PrivateKey // nil: missing, or must not be used again
	root  *x509.Certificate // set only when fault is empty
	fault string            // why a new root is needed; empty when key and root are good
}

// read reads the folder without changing it. Only a failure to read is an
// error; broken content is reported in found.fault.
func (s store) read() (found, error) {
	key, keyFault, err := s.readKey()
	if err != nil {
		return found{}, storeError("read", s.path(keyFile), err)
	}
	root, rootFault, err := s.readRoot()
	if err != nil {
		return found{}, storeError("read", s.path(rootFile), err)
	}
	switch {
	case keyFault == missing && rootFault == missing:
		return found{fault: FirstCA}, nil
	case keyFault != "":
		return found{fault: keyFile + " " + keyFault}, nil
	case rootFault != "":
		return found{key: key, fault: rootFile + " " + rootFault}, nil
	case !key.PublicKey.Equal(root.PublicKey):
		return found{key: key, fault: rootFile + " did not belong to " + keyFile}, nil
	}
	return s.check(key, root)
}

// check decides whether a root and its key are usable. A key whose root must no longer be
// trusted is dropped with it.
func (s store) check(key *ecdsa.PrivateKey, root *x509.Certificate) (found, error) {
	if err := checkRoot(root, s.domain); err != nil {
		return found{fault: rootFile + " was not safe to use: " + err.Error()}, nil
	}
	now := s.now()
	if now.Before(root.NotBefore) {
		// More likely the clock is wrong than the root: a flat battery must not cost a
		// root.
		return found{}, &StoreError{
			Op: "use", Path: s.path(rootFile),
			Err: fmt.Errorf("it is valid from %s, and the clock says %s", root.NotBefore.Format(time.DateOnly), now.Format(time.DateOnly)),
			Fix: "set the clock or, if the clock is right, move that file",
		}
	}
	if now.After(root.NotAfter) {
		return found{fault: rootFile + " expired on " + root.NotAfter.Format(time.DateOnly)}, nil
	}
	return found{key: key, root: root}, nil
}

func (s store) readKey() (key *ecdsa.PrivateKey, fault string, err error) {
	der, fault, err := readPEM(s.path(keyFile), keyBlock)
	if fault != "" || err != nil {
		return nil, fault, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, "was broken: it has no private key", nil
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, "was broken: its key is not an ECDSA P-256 key", nil
	}
	return key, "", nil
}

func (s store) readRoot() (root *x509.Certificate, fault string, err error) {
	der, fault, err := readPEM(s.path(rootFile), certificateBlock)
	if fault != "" || err != nil {
		return nil, fault, err
	}
	root, err = x509.ParseCertificate(der)
	if err != nil {
		return nil, "was broken: it has no certificate", nil
	}
	return root, "", nil
}

// readPEM returns the content of a file with exactly one PEM block: some clients trust every
// certificate in the file of the root.
func readPEM(path, kind string) (der []byte, fault string, err error) {
	text, fault, err := readSmall(path)
	if fault != "" || err != nil {
		return nil, fault, err
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, "was broken: it is empty, cut off, or not PEM", nil
	case block.Type != kind:
		return nil, fmt.Sprintf("was broken: it has a %.40s instead of a %s", block.Type, kind), nil
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, "was broken: it has more than one PEM block", nil
	}
	return block.Bytes, "", nil
}

// readSmall reads a file of at most maxFile bytes.
func readSmall(path string) (text []byte, fault string, err error) {
	// Examined before it is opened, since opening a named pipe would wait.
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing, nil
	}
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "was broken: it is not a file", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(text) > maxFile {
		return nil, "was broken: it is far too large", nil
	}
	return text, "", err
}
