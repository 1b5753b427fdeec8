// Package credentials keeps what identifies the user to relays, below
// $DEVPROXY_HOME: a key for each shared folder with the state of its link, and the
// relays that the user has logged in to.
package credentials

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/tunnel"
)

// The files of a key, in its own folder below $DEVPROXY_HOME/shares.
const (
	keyFile  = "key"       // Ed25519, PKCS #8 in PEM
	linkFile = "link.json" // a link
	lockFile = "lock"      // held while the others are read and written
)

// Store is the state below one $DEVPROXY_HOME.
type Store struct {
	Home   string
	Getenv func(string) string
}

// Key identifies a folder to relays. The names of its links come from it.
type Key struct {
	Private ed25519.PrivateKey
	// Generation is how many links of this key have ended for good.
	Generation uint64
	// Names are the rules that the link's names follow. They stay the same for as
	// long as the link lasts.
	Names tunnel.Names

	dir, folder string
	file        string // of the key; empty for the one in dir
	name        string // the plain name that a relay granted last
}

// Public returns the public key.
func (k *Key) Public() ed25519.PublicKey {
	public, _ := k.Private.Public().(ed25519.PublicKey)
	return public
}

// link is the content of linkFile.
type link struct {
	Folder string `json:"folder"` // that was shared last
	// KeyFile is the file of a key outside of this folder. Name is the plain name
	// that a relay granted last.
	KeyFile    string `json:"key_file,omitempty"`
	Name       string `json:"name,omitempty"`
	Generation uint64 `json:"generation"`
	// Until is when the link ends for good; zero if it was never shared.
	Until time.Time `json:"until,omitzero"`
	// Names are Key.Names. Versions of devproxy that did not write them had
	// NamesByZone only.
	Names tunnel.Names `json:"names,omitempty"`
}

// OpenKey returns the key in file, or without a file the key of folder. It makes a
// missing key. The state of the link belongs to the key, so folders that share a
// key file have the same link. An expired link is replaced by the next one.
func (s Store) OpenKey(folder, file string) (*Key, error) {
	folder = realPath(folder)
	if file == "" {
		sum := sha256.Sum256([]byte(folder))
		return openKey(filepath.Join(s.shares(), hex.EncodeToString(sum[:16])), folder, "")
	}
	file = realPath(file)
	if dir, base := filepath.Split(file); base == keyFile && filepath.Dir(filepath.Clean(dir)) == realPath(s.shares()) {
		return openKey(filepath.Clean(dir), folder, "") // the key of another folder
	}
	if err := makePrivate(s.shares()); err != nil {
		return nil, err
	}
	var key ed25519.PrivateKey
	err := locked(filepath.Join(s.shares(), lockFile), func() (err error) {
		key, err = readOrMakeKey(file)
		return err
	})
	if err != nil {
		return nil, failure.Errorf("give --key a file that devproxy created, or a new file in an existing folder", "%w", err)
	}
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return openKey(filepath.Join(s.shares(), "key-"+hex.EncodeToString(sum[:16])), folder, file)
}

func (s Store) shares() string { return filepath.Join(s.Home, "shares") }

// realPath resolves symbolic links; a path that cannot be resolved stays
// unchanged.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// openKey opens the key in file, or in dir if file is empty. The state of the link
// is in dir.
func openKey(dir, folder, file string) (*Key, error) {
	k := &Key{folder: folder, dir: dir, file: file}
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	return k, k.locked(func() (err error) {
		if file == "" {
			file = filepath.Join(dir, keyFile)
		}
		if k.Private, err = readOrMakeKey(file); err != nil {
			return err
		}
		stored, err := k.read()
		if err == nil && !stored.Until.IsZero() && !time.Now().Before(stored.Until) {
			stored = link{Generation: stored.Generation + 1, Name: stored.Name}
			err = k.write(stored)
		}
		if stored.Until.IsZero() {
			stored.Names = tunnel.NewestNames
		}
		k.Generation, k.Names, k.name = stored.Generation, stored.Names, stored.Name
		return err
	})
}

// EndLink ends the current link for good. The next share has a new one.
func (k *Key) EndLink() error {
	return k.locked(func() error {
		stored, err := k.read()
		if err != nil {
			return err
		}
		stored = link{Generation: max(stored.Generation, k.Generation) + 1, Name: stored.Name}
		if err := k.write(stored); err != nil {
			return err
		}
		k.Generation, k.Names = stored.Generation, tunnel.NewestNames
		return nil
	})
}

// UseNames makes the names of the link follow other rules.
func (k *Key) UseNames(names tunnel.Names) error {
	k.Names = names
	return k.change(func(*link) {})
}

// SetExpiry records when the link ends for good, so that a share that starts after
// that gets a new link, whatever has run in between.
func (k *Key) SetExpiry(until time.Time) error {
	return k.change(func(stored *link) { stored.Until = until })
}

// SetName records that a relay has granted a plain name.
func (k *Key) SetName(name string) error {
	if name == "" || name == k.name {
		return nil
	}
	k.name = name
	return k.change(func(stored *link) { stored.Name = name })
}

// change changes the stored state of the link, unless another process has started
// a newer link.
func (k *Key) change(do func(*link)) error {
	return k.locked(func() error {
		stored, err := k.read()
		if err != nil || stored.Generation != k.Generation {
			return err
		}
		do(&stored)
		stored.Names = k.Names
		return k.write(stored)
	})
}

// locked runs do while no other process changes the key or its link.
func (k *Key) locked(do func() error) error {
	return locked(filepath.Join(k.dir, lockFile), do)
}

func locked(path string, do func() error) error {
	unlock, err := localca.Lock(path)
	if err != nil {
		return fileError("lock", path, err)
	}
	defer unlock()
	return do()
}

func (k *Key) read() (link, error) {
	var stored link
	path := filepath.Join(k.dir, linkFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return stored, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	if err != nil {
		// Starting again at the first generation could bring back a link that was
		// ended. Only a new key is safe.
		return stored, failure.Errorf("remove its folder: the next share has a new key and a new link", "cannot read %s: %w", path, err)
	}
	return stored, nil
}

func (k *Key) write(stored link) error {
	stored.Folder, stored.KeyFile = k.folder, k.file
	return writeJSON(filepath.Join(k.dir, linkFile), stored)
}

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
	return failure.Errorf(localca.FixFor(path, err), "cannot %s %s: %w", op, path, err)
}
