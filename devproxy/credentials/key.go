// Package credentials keeps what identifies the user to relays, below
// $DEVPROXY_HOME: a key for each shared folder with the state of its link, and the
// relays that the user has logged in to.
package credentials

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/tunnel"
)

// The files of a key, in its own folder below $DEVPROXY_HOME/shares.
const (
	keyFile  = "key"       // Ed25519, PKCS #8 in PEM
	linkFile = "link.json" // a link
	lockFile = "lock"      // held while the others are read and written
)

const (
	// lockWait is how long another process may hold the lock. Writing takes milliseconds.
	lockWait = 10 * time.Second
	lockPoll = 10 * time.Millisecond
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
		return nil, failure.Errorf("give --key a file that it has made, or a new file in an existing folder", "%w", err)
	}
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return openKey(filepath.Join(s.shares(), "key-"+hex.EncodeToString(sum[:16])), folder, file)
}

func (s Store) shares() string { return filepath.Join(s.Home, "shares") }

// realPath resolves symbolic links; a path that cannot be resolved stays as it is.
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
	lock := flock.New(path, flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fileError("lock", lock.Path(), err)
	}
	defer lock.Close() // the end of the process would release it too
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
