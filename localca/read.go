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

// maxFile bounds what is read as a key or certificate; both are below 2 KB.
const maxFile = 64 << 10

// The PEM types of the two files.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// missing is the fault of a file that is not there.
const missing = "was missing"

// found is what a folder holds. Every state that a crash, a full disk or a hand
// can leave is one of these, so that each can be mended.
type found struct {
	key   *ecdsa.PrivateKey // nil: missing, or not to be used again
	root  *x509.Certificate // set only when fault is empty
	fault string            // why a new root is needed; empty when key and root are good
}

// read looks at the folder without changing it. Only what cannot be read is an
// error; what is broken is found.fault.
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
	return s.judge(key, root)
}

// judge decides about a root and its key. A key whose root must not be trusted
// any longer is given up with it.
func (s store) judge(key *ecdsa.PrivateKey, root *x509.Certificate) (found, error) {
	if err := checkRoot(root); err != nil {
		return found{fault: rootFile + " was not safe to use: " + err.Error()}, nil
	}
	now := s.now()
	if now.Before(root.NotBefore) {
		// More likely the clock is wrong than the root, and a root is not given
		// up for a flat battery.
		return found{}, &StoreError{
			Op: "use", Path: s.path(rootFile),
			Err: fmt.Errorf("it begins on %s, and the clock says %s", root.NotBefore.Format(time.DateOnly), now.Format(time.DateOnly)),
			Fix: "set the clock or, if the clock is right, move that file away",
		}
	}
	if now.After(root.NotAfter) {
		return found{fault: rootFile + " ended on " + root.NotAfter.Format(time.DateOnly)}, nil
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
		return nil, "was broken: it holds no private key", nil
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, "was broken: its key is not of the kind ECDSA P-256", nil
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
		return nil, "was broken: it holds no certificate", nil
	}
	return root, "", nil
}

// readPEM returns the content of a file that is one PEM block and no more: some
// clients trust every certificate in the file of the root.
func readPEM(path, kind string) (der []byte, fault string, err error) {
	text, fault, err := readSmall(path)
	if fault != "" || err != nil {
		return nil, fault, err
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, "was broken: it is empty, cut off, or no PEM at all", nil
	case block.Type != kind:
		return nil, fmt.Sprintf("was broken: it holds a %.40s instead of a %s", block.Type, kind), nil
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, "was broken: it holds more than one PEM block", nil
	}
	return block.Bytes, "", nil
}

// readSmall reads a file that is known to be small.
func readSmall(path string) (text []byte, fault string, err error) {
	// Looked at before it is opened, since opening a named pipe would wait.
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
