package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	namesBucket = "names"
	keysBucket  = "keys"
	// lockWait bounds the waiting for another process that has the file.
	lockWait = 2 * time.Second
)

// File is a Registry in one bbolt file, mode 0600, which one process may have
// open at a time. It is made by OpenFile.
type File struct {
	watchers
	path string

	mu sync.RWMutex
	db *bbolt.DB // nil while suspended
}

// OpenFile opens or makes the registry at path; the folder must exist.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	if err := f.Resume(); err != nil {
		return nil, err
	}
	return f, nil
}

// Resume opens the file again after Suspend. It waits a few seconds for a
// process that has it open.
func (f *File) Resume() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.db != nil {
		return nil
	}
	db, err := bbolt.Open(f.path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("cannot open the relay's registry %s: another process has it open; stop the other relay, or choose another file with --state", f.path)
	}
	if err != nil {
		return fmt.Errorf("cannot open the relay's registry %s: %w", f.path, err)
	}
	if err := db.Update(makeBuckets); err != nil {
		db.Close()
		return fmt.Errorf("cannot write the relay's registry %s: %w", f.path, err)
	}
	f.db = db
	return nil
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range []string{namesBucket, keysBucket} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// Suspend closes the file, so that another process can open it. Until Resume
// every method fails with ErrSuspended.
func (f *File) Suspend() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.db == nil {
		return nil
	}
	err := f.db.Close()
	f.db = nil
	return err
}

// Close is Suspend for good.
func (f *File) Close() error { return f.Suspend() }

func (f *File) view(do func(book) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return ErrSuspended
	}
	return f.db.View(func(tx *bbolt.Tx) error { return do(boltBook{tx}) })
}

// update puts the changes of callers that come at once into one transaction,
// since each waits for the disk: after a restart every agent claims anew.
func (f *File) update(do func(book) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return ErrSuspended
	}
	return f.db.Batch(func(tx *bbolt.Tx) error { return do(boltBook{tx}) })
}

// Claim implements Registry.
func (f *File) Claim(_ context.Context, owner Key, names []string, until time.Time) error {
	return f.ifDirty(func(b book, write bool) (bool, error) {
		return claim(b, owner, names, until, time.Now(), write)
	})
}

// Renew implements Registry.
func (f *File) Renew(_ context.Context, owner Key, names []string) error {
	return f.ifDirty(func(b book, write bool) (bool, error) {
		return renew(b, owner, names, time.Now(), write)
	})
}

// ifDirty writes only when there is something to write.
func (f *File) ifDirty(do func(b book, write bool) (dirty bool, err error)) error {
	var dirty bool
	err := f.view(func(b book) (err error) {
		dirty, err = do(b, false)
		return err
	})
	if err != nil || !dirty {
		return err
	}
	return f.update(func(b book) error {
		_, err := do(b, true)
		return err
	})
}

// Release implements Registry.
func (f *File) Release(_ context.Context, owner Key, names []string) error {
	var ended []string
	err := f.update(func(b book) (err error) {
		ended, err = release(b, owner, names, time.Now())
		return err
	})
	if err == nil {
		f.tell(endings(owner, ended)...)
	}
	return err
}

// Lookup implements Registry.
func (f *File) Lookup(_ context.Context, name string) (r Record, ok bool, err error) {
	err = f.view(func(b book) error {
		r, ok, err = b.name(name)
		return err
	})
	return r, ok, err
}

// Standing implements Registry.
func (f *File) Standing(_ context.Context, key Key) (s Standing, err error) {
	err = f.view(func(b book) error {
		s, err = b.standing(key)
		return err
	})
	return s, err
}

// SetStanding implements Registry.
func (f *File) SetStanding(_ context.Context, key Key, s Standing) error {
	err := f.update(func(b book) error { return b.putStanding(key, s) })
	if err == nil {
		f.tell(Change{Key: key, Standing: s})
	}
	return err
}

// boltBook is a book in a transaction.
type boltBook struct{ tx *bbolt.Tx }

func (b boltBook) name(name string) (Record, bool, error) {
	text := b.tx.Bucket([]byte(namesBucket)).Get([]byte(name))
	if text == nil {
		return Record{}, false, nil
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, false, fmt.Errorf("the registry's record of %s cannot be read: %w", name, err)
	}
	return r, true, nil
}

func (b boltBook) putName(name string, r Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.tx.Bucket([]byte(namesBucket)).Put([]byte(name), text)
}

// standing is kept as one letter, so that `strings` shows what a file holds.
func (b boltBook) standing(key Key) (Standing, error) {
	switch string(b.tx.Bucket([]byte(keysBucket)).Get(key[:])) {
	case "e":
		return Enrolled, nil
	case "r":
		return Revoked, nil
	}
	return Unknown, nil
}

func (b boltBook) putStanding(key Key, s Standing) error {
	keys := b.tx.Bucket([]byte(keysBucket))
	switch s {
	case Enrolled:
		return keys.Put(key[:], []byte("e"))
	case Revoked:
		return keys.Put(key[:], []byte("r"))
	}
	return keys.Delete(key[:])
}
