package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
// open at a time. It is made by OpenFile. Names are in memory too: the file is
// read when it is opened, and from then on only written.
type File struct {
	watchers
	path string

	mu sync.RWMutex
	db *bbolt.DB // nil while suspended

	// names, writing and keys are guarded by turn, which is taken after mu and never
	// held while the disk is waited for.
	turn    sync.Mutex
	names   *ledger
	writing map[string]*writing // by name
	keys    int                 // with a standing
}

// writing is what is under way for a name that has changed in memory.
type writing struct {
	calls  int  // that wait for the disk
	failed bool // one of them
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
	names, err := readNames(db)
	if err != nil {
		db.Close()
		return fmt.Errorf("cannot read the relay's registry %s: %w", f.path, err)
	}
	f.db, f.names, f.writing = db, names, map[string]*writing{}
	return db.View(func(tx *bbolt.Tx) error {
		f.keys = tx.Bucket([]byte(keysBucket)).Stats().KeyN
		return nil
	})
}

// readNames reads every name. Entries that cannot be read are as if they were
// not there.
func readNames(db *bbolt.DB) (*ledger, error) {
	names := newLedger()
	return names, db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(namesBucket)).ForEach(func(name, text []byte) error {
			names.read(string(name), text)
			return nil
		})
	})
}

// read puts the record that a file has of a name.
func (l *ledger) read(name string, text []byte) {
	var r Record
	if json.Unmarshal(text, &r) == nil {
		l.put(name, r)
	}
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

// change applies do to the names that it is about, and writes those that do
// returns. What cannot be written is not changed. A call that relies on what
// another one has changed in memory writes it too: it must not succeed when that
// cannot be written.
func (f *File) change(about []string, do func(l *ledger, now time.Time) (changed []string, err error)) ([]string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return nil, ErrSuspended
	}
	f.turn.Lock()
	changed, err := do(f.names, time.Now())
	var names []string
	if err == nil {
		names = f.beginLocked(changed, about)
	}
	f.turn.Unlock()
	if len(names) == 0 {
		return nil, err
	}
	// Callers that come at once share a transaction, since each waits for the
	// disk. Their order does not matter: what is written is the latest.
	err = f.db.Batch(func(tx *bbolt.Tx) error { return f.write(tx, names) })
	if err = errors.Join(err, f.finish(names, err != nil)); err != nil {
		return nil, err
	}
	return changed, nil
}

// beginLocked notes that a call writes what it has changed, and those of the names
// it is about that another call writes. It returns them.
func (f *File) beginLocked(changed, about []string) []string {
	names := holding{}
	for _, name := range changed {
		names[name] = struct{}{}
	}
	for _, name := range about {
		if f.writing[name] != nil {
			names[name] = struct{}{}
		}
	}
	for name := range names {
		if f.writing[name] == nil {
			f.writing[name] = &writing{}
		}
		f.writing[name].calls++
	}
	return slices.Collect(maps.Keys(names))
}

// finish notes that a call has written names, or failed to. When no other call
// writes a name that failed, what the file has of it counts again.
func (f *File) finish(names []string, failed bool) error {
	f.turn.Lock()
	defer f.turn.Unlock()
	var stale []string
	for _, name := range names {
		w := f.writing[name]
		w.failed = w.failed || failed
		if w.calls--; w.calls > 0 {
			continue
		}
		delete(f.writing, name)
		if w.failed {
			stale = append(stale, name)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	return f.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(namesBucket))
		for _, name := range stale {
			f.names.forget(name)
			f.names.read(name, bucket.Get([]byte(name)))
		}
		return nil
	})
}

// write writes the names as they are now.
func (f *File) write(tx *bbolt.Tx, changed []string) error {
	f.turn.Lock()
	defer f.turn.Unlock()
	bucket := tx.Bucket([]byte(namesBucket))
	for _, name := range changed {
		r, known := f.names.records[name]
		if !known {
			if err := bucket.Delete([]byte(name)); err != nil {
				return err
			}
			continue
		}
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := bucket.Put([]byte(name), text); err != nil {
			return err
		}
	}
	return nil
}

// Claim implements Registry.
func (f *File) Claim(_ context.Context, c NameClaim) error {
	_, err := f.change(c.Names, func(l *ledger, now time.Time) ([]string, error) { return l.claim(c, now) })
	return err
}

// Renew implements Registry.
func (f *File) Renew(_ context.Context, owner Key, names []string) error {
	_, err := f.change(names, func(l *ledger, now time.Time) ([]string, error) { return l.renew(owner, names, now), nil })
	return err
}

// Release implements Registry.
func (f *File) Release(_ context.Context, owner Key, names []string) error {
	ended, err := f.change(names, func(l *ledger, now time.Time) ([]string, error) { return l.release(owner, names, now), nil })
	if err == nil {
		f.tell(endings(owner, ended)...)
	}
	return err
}

// GiveUp implements Registry.
func (f *File) GiveUp(_ context.Context, owner Key, names []string) ([]string, error) {
	given, err := f.change(names, func(l *ledger, now time.Time) ([]string, error) { return l.giveUp(owner, names, now), nil })
	if err == nil {
		f.tell(endings(owner, given)...)
	}
	return given, err
}

// Lookup implements Registry.
func (f *File) Lookup(_ context.Context, name string) (Record, bool, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return Record{}, false, ErrSuspended
	}
	f.turn.Lock()
	defer f.turn.Unlock()
	r, known := f.names.lookup(name, time.Now())
	return r, known, nil
}

// Sweep implements Registry.
func (f *File) Sweep(context.Context) error {
	_, err := f.change(nil, func(l *ledger, now time.Time) ([]string, error) { return l.sweep(now), nil })
	return err
}

// Standing implements Registry.
func (f *File) Standing(_ context.Context, key Key) (s Standing, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return Unknown, ErrSuspended
	}
	err = f.db.View(func(tx *bbolt.Tx) error {
		switch string(tx.Bucket([]byte(keysBucket)).Get(key[:])) {
		case enrolled:
			s = Enrolled
		case barred:
			s = Revoked
		}
		return nil
	})
	return s, err
}

// SetStanding implements Registry.
func (f *File) SetStanding(_ context.Context, key Key, s Standing) error {
	err := f.setStanding(key, s)
	if err == nil || s == Revoked { // whose session ends even if the disk is full
		f.tell(Change{Key: key, Standing: s})
	}
	return err
}

// A key's standing is kept as one letter, so that strings(1) shows what a file
// holds.
const (
	enrolled = "e"
	barred   = "r"
)

func (f *File) setStanding(key Key, s Standing) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return ErrSuspended
	}
	more := 0
	err := f.db.Batch(func(tx *bbolt.Tx) (err error) { // which may call it again
		keys := tx.Bucket([]byte(keysBucket))
		known := keys.Get(key[:]) != nil
		more = 0
		switch {
		case s == Unknown:
			err = keys.Delete(key[:])
			if known {
				more = -1
			}
			return err
		case known:
		case s == Enrolled && f.keyCount() >= keysTotal:
			return errKeys
		default:
			more = 1
		}
		if s == Enrolled {
			return keys.Put(key[:], []byte(enrolled))
		}
		return keys.Put(key[:], []byte(barred))
	})
	if err == nil {
		f.turn.Lock()
		defer f.turn.Unlock()
		f.keys += more
	}
	return err
}

func (f *File) keyCount() int {
	f.turn.Lock()
	defer f.turn.Unlock()
	return f.keys
}
