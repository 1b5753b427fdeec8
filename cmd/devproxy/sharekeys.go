package main

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

	"github.com/devproxy/devproxy/tunnel"
)

// The files of a share, in a folder of its own below $DEVPROXY_HOME/shares.
const (
	shareKeyFile  = "key"       // the folder's Ed25519 key, PKCS #8 in PEM
	shareLinkFile = "link.json" // a linkRecord
	shareLockFile = "lock"      // held while one of them is read and written
)

const (
	// shareLockWait is for another process that writes, which takes milliseconds.
	shareLockWait = 10 * time.Second
	shareLockPoll = 10 * time.Millisecond
)

// shareKey is what a folder proves to a relay, and where its names come from.
type shareKey struct {
	Key ed25519.PrivateKey
	// Generation is how many links of this key are over for good.
	Generation uint64
	// Names are the rules by which the link's names are made. They stay the same as
	// long as the link lasts.
	Names tunnel.Names

	dir, folder string
	file        string // of the key; empty for the one in dir
	name        string // that a relay granted last
}

// linkRecord is what is remembered of the link of a key.
type linkRecord struct {
	Folder string `json:"folder"` // that was shared last
	// KeyFile is the file of a key that is not next to this one; empty for one that
	// is. Name is the plain name that a relay granted last.
	KeyFile    string `json:"key_file,omitempty"`
	Name       string `json:"name,omitempty"`
	Generation uint64 `json:"generation"`
	// Until is when the link ends for good; zero when it was never shared.
	Until time.Time `json:"until,omitzero"`
	// Names are shareKey.Names. Versions of devproxy that did not write them knew
	// NamesByZone alone.
	Names tunnel.Names `json:"names,omitempty"`
}

// openShareKey is the key of a folder, made when there is none. home is
// $DEVPROXY_HOME. A link that has expired is not that of the next share.
func openShareKey(home, folder string) (*shareKey, error) {
	folder = realPath(folder)
	sum := sha256.Sum256([]byte(folder))
	return openShareKeyIn(filepath.Join(home, "shares", hex.EncodeToString(sum[:16])), folder, "")
}

// openKeyFor is the key in file, made when there is none; without a file it is the
// key of folder. What is remembered of the link is the key's own, wherever its file
// is: folders with the same key have the same link.
func openKeyFor(home, folder, file string) (*shareKey, error) {
	if file == "" {
		return openShareKey(home, folder)
	}
	file = realPath(file)
	if dir, base := filepath.Split(file); base == shareKeyFile && filepath.Dir(filepath.Clean(dir)) == filepath.Join(realPath(home), "shares") {
		return openShareKeyIn(filepath.Clean(dir), realPath(folder), "") // another folder's
	}
	shares := filepath.Join(home, "shares")
	if err := privateFolder(shares); err != nil {
		return nil, err
	}
	var key ed25519.PrivateKey
	err := lockedBy(filepath.Join(shares, shareLockFile), func() (err error) {
		key, err = readOrMakeKey(file)
		return err
	})
	if err != nil {
		return nil, failf("--key takes a file that it has made, or one to make in a folder that exists", "%w", err)
	}
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return openShareKeyIn(filepath.Join(shares, "key-"+hex.EncodeToString(sum[:16])), realPath(folder), file)
}

// realPath is path without symbolic links; path itself where that is not known.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// openShareKeyIn is the key in file, or else in the folder dir, where the rest is
// remembered.
func openShareKeyIn(dir, folder, file string) (*shareKey, error) {
	k := &shareKey{folder: folder, dir: dir, file: file}
	if err := privateFolder(k.dir); err != nil {
		return nil, err
	}
	err := k.locked(func() error {
		var err error
		if k.Key, err = readOrMakeKey(firstOf(k.file, filepath.Join(k.dir, shareKeyFile))); err != nil {
			return err
		}
		link, err := k.read()
		if err == nil && !link.Until.IsZero() && !time.Now().Before(link.Until) {
			link = linkRecord{Generation: link.Generation + 1, Name: link.Name}
			err = k.write(link)
		}
		if link.Until.IsZero() {
			link.Names = tunnel.NewestNames
		}
		k.Generation, k.Names, k.name = link.Generation, link.Names, link.Name
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Next makes the link one of the past: the next share has another.
func (k *shareKey) Next() error {
	return k.locked(func() error {
		link, err := k.read()
		if err == nil {
			link = linkRecord{Generation: max(link.Generation, k.Generation) + 1, Name: link.Name}
			err = k.write(link)
		}
		if err == nil {
			k.Generation, k.Names = link.Generation, tunnel.NewestNames
		}
		return err
	})
}

// UseNames has the link's names made by other rules from now on.
func (k *shareKey) UseNames(names tunnel.Names) error {
	k.Names = names
	return k.change(func(link *linkRecord) {})
}

// Lasts notes when the link ends for good, so that a share that begins after
// that, whatever has run in between, has another.
func (k *shareKey) Lasts(until time.Time) error {
	return k.change(func(link *linkRecord) { link.Until = until })
}

// Has notes that a relay has granted a plain name.
func (k *shareKey) Has(name string) error {
	if name == "" || name == k.name {
		return nil
	}
	k.name = name
	return k.change(func(link *linkRecord) { link.Name = name })
}

// change changes what is remembered of the link.
func (k *shareKey) change(do func(*linkRecord)) error {
	return k.locked(func() error {
		link, err := k.read()
		if err != nil || link.Generation != k.Generation {
			return err // another process has a newer link
		}
		do(&link)
		link.Names = k.Names
		return k.write(link)
	})
}

// locked runs do while no other process does the same.
func (k *shareKey) locked(do func() error) error {
	return lockedBy(filepath.Join(k.dir, shareLockFile), do)
}

func lockedBy(path string, do func() error) error {
	lock := flock.New(path, flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), shareLockWait)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, shareLockPoll); err != nil {
		return stateFailure("lock", lock.Path(), err)
	}
	defer lock.Close() // the process's end would release it too
	return do()
}

func (k *shareKey) read() (linkRecord, error) {
	var link linkRecord
	path := filepath.Join(k.dir, shareLinkFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return link, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &link)
	}
	if err != nil {
		// Beginning again at the first generation could bring back a link that
		// was ended: only a new key is safe.
		return link, failf("remove the folder it is in: the next share has a new key, and a new link", "cannot read %s: %w", path, err)
	}
	return link, nil
}

func (k *shareKey) write(link linkRecord) error {
	link.Folder, link.KeyFile = k.folder, k.file
	return writeState(filepath.Join(k.dir, shareLinkFile), link)
}
