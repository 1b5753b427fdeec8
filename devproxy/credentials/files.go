package credentials

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/localca"
)

// FolderKey is the key of a folder that was shared.
type FolderKey struct {
	Private ed25519.PrivateKey
	File    string
	Folder  string // "another folder" if it is not known
	Name    string // the plain name that a relay granted last; may be empty
}

// Keys returns all keys of this user, without those that cannot be read.
func (s Store) Keys() ([]FolderKey, error) {
	entries, err := os.ReadDir(s.shares())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fileError("read", s.shares(), err)
	}
	var keys []FolderKey
	for _, entry := range entries {
		dir := filepath.Join(s.shares(), entry.Name())
		var stored link
		if text, err := os.ReadFile(filepath.Join(dir, linkFile)); err == nil {
			_ = json.Unmarshal(text, &stored) // without it, only folder and name are unknown
		}
		path := cmp.Or(stored.KeyFile, filepath.Join(dir, keyFile))
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if key, err := parseKey(text); err == nil {
			keys = append(keys, FolderKey{key, path, cmp.Or(stored.Folder, "another folder"), stored.Name})
		}
	}
	return keys, nil
}

// readOrMakeKey reads a key, or makes a missing one. The caller holds the lock.
func readOrMakeKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fileError("read", path, err)
	}
	if err := restrict(path, 0o600); err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, failure.Errorf("remove it: the next share has a new key and a new link", "cannot use %s: %w", path, err)
	}
	return key, nil
}

func parseKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is not in PEM format")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("it does not contain a private key: %w", err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("it is not an Ed25519 key")
	}
	return key, nil
}

func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// MakeHome makes $DEVPROXY_HOME if it is missing. An existing folder keeps its
// mode: it may be used for other things too.
func (s Store) MakeHome() error { return makeFolder(s.Home) }

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError("make the folder", dir, err)
	}
	return nil
}

// makePrivate makes a folder that other users cannot read.
func makePrivate(dir string) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	return restrict(dir, 0o700)
}

// restrict gives a file mode if users other than its owner have any access.
func restrict(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		return fileError(fmt.Sprintf("make private (chmod %o)", mode), path, err)
	}
	return nil
}

// writeJSON writes a file of $DEVPROXY_HOME, whole or not at all.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

func writeFile(path string, text []byte) error {
	if err := localca.WriteFile(path, text, 0o600); err != nil {
		return fileError("write", path, err)
	}
	return nil
}

// fileError reports a file of $DEVPROXY_HOME that cannot be used.
func fileError(op, path string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return failure.Errorf("check its owner (ls -l), or set "+localca.HomeVariable+" to another folder", "cannot %s %s: %w", op, path, err)
}
