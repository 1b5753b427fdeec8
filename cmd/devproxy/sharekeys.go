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
}

// linkRecord is what is remembered of a folder's link.
type linkRecord struct {
	Folder     string `json:"folder"` // for whoever looks into the file
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
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	sum := sha256.Sum256([]byte(folder))
	k := &shareKey{folder: folder, dir: filepath.Join(home, "shares", hex.EncodeToString(sum[:16]))}
	if err := privateFolder(k.dir); err != nil {
		return nil, err
	}
	err := k.locked(func() error {
		var err error
		if k.Key, err = readOrMakeKey(filepath.Join(k.dir, shareKeyFile)); err != nil {
			return err
		}
		link, err := k.read()
		if err == nil && !link.Until.IsZero() && !time.Now().Before(link.Until) {
			link = linkRecord{Generation: link.Generation + 1}
			err = k.write(link)
		}
		if link.Until.IsZero() {
			link.Names = tunnel.NewestNames
		}
		k.Generation, k.Names = link.Generation, link.Names
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
			link = linkRecord{Generation: max(link.Generation, k.Generation) + 1}
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
	lock := flock.New(filepath.Join(k.dir, shareLockFile), flock.SetPermissions(0o600))
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
	link.Folder = k.folder
	return writeState(filepath.Join(k.dir, shareLinkFile), link)
}
