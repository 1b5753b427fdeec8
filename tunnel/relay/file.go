package relay

import (
	"cmp"
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
	// lockWait bounds the wait for another process that has the file open.
	lockWait = 2 * time.Second
)

// A key's standing is stored as one letter, so that strings(1) shows the
// contents of a file.
const (
	markEnrolled = "e"
	markRevoked  = "r"
)

// File is a Registry in one bbolt file, mode 0600, which one process may have
// open at a time. It is made by OpenFile. The names are in memory too: the file is
// read when it is opened, and from then on only written.
type File struct {
	nameMethods
	path string

	mu sync.RWMutex
	db *bbolt.DB // nil while suspended

	// namesMu guards names, pending and keys. It is taken after mu, and never held
	// during a wait for the disk.
	namesMu sync.Mutex
	names   *nameTable
	pending map[string]*pendingWrite // by name
	keys    int                      // with a standing
}

// pendingWrite counts the writes of a name that has changed in memory.
type pendingWrite struct {
	calls  int  // that wait for the disk
	failed bool // one of them
}

// OpenFile opens or makes the registry at path; the folder must exist.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	f.change = f.changeNames
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
	err = db.View(func(tx *bbolt.Tx) (err error) {
		f.keys = tx.Bucket([]byte(keysBucket)).Stats().KeyN
		f.names, err = readNames(tx)
		return err
	})
	if err != nil {
		db.Close()
		return fmt.Errorf("cannot read the relay's registry %s: %w", f.path, err)
	}
	f.db, f.pending = db, map[string]*pendingWrite{}
	return nil
}

// readNames reads every name. Entries that cannot be read are ignored.
func readNames(tx *bbolt.Tx) (*nameTable, error) {
	names := newNameTable()
	return names, forEach(tx, namesBucket, func(name, text []byte) {
		names.read(string(name), text)
	})
}

func forEach(tx *bbolt.Tx, bucket string, do func(key, value []byte)) error {
	b := tx.Bucket([]byte(bucket))
	if b == nil { // not the file of a relay
		return nil
	}
	return b.ForEach(func(key, value []byte) error {
		do(key, value)
		return nil
	})
}

// read puts the record of a name that is in a file.
func (t *nameTable) read(name string, text []byte) {
	var r Record
	if json.Unmarshal(text, &r) == nil {
		t.put(name, r)
	}
}

func makeBuckets(tx *bbolt.Tx) error {
	_, namesErr := tx.CreateBucketIfNotExists([]byte(namesBucket))
	_, keysErr := tx.CreateBucketIfNotExists([]byte(keysBucket))
	return cmp.Or(namesErr, keysErr)
}

// Suspend closes the file, so that another process can open it. Until Resume,
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

// changeNames calls do, and writes the names that do returns. What cannot be
// written is not changed. about are all names that the call depends on: when
// another call has changed one of them in memory, this call writes it too. It must
// not succeed when that name cannot be written.
func (f *File) changeNames(about []string, do nameChange) ([]string, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return nil, ErrSuspended
	}
	f.namesMu.Lock()
	changed, err := do(f.names, time.Now())
	var names []string
	if err == nil {
		names = f.beginLocked(changed, about)
	}
	f.namesMu.Unlock()
	if len(names) == 0 {
		return nil, err
	}
	// Concurrent callers share a transaction, since each waits for the disk. Their
	// order does not matter: each writes the latest state.
	err = f.db.Batch(func(tx *bbolt.Tx) error { return f.write(tx, names) })
	if err = errors.Join(err, f.finish(names, err != nil)); err != nil {
		return nil, err
	}
	return changed, nil
}

// beginLocked notes that a call writes the names that it has changed, and those of
// about that another call is writing. It returns them.
func (f *File) beginLocked(changed, about []string) []string {
	names := nameSet{}
	for _, name := range changed {
		names[name] = struct{}{}
	}
	for _, name := range about {
		if f.pending[name] != nil {
			names[name] = struct{}{}
		}
	}
	for name := range names {
		if f.pending[name] == nil {
			f.pending[name] = &pendingWrite{}
		}
		f.pending[name].calls++
	}
	return slices.Collect(maps.Keys(names))
}

// finish notes that a call has written names, or failed to. When no other call is
// writing a name that failed, its record in the file replaces the one in memory.
func (f *File) finish(names []string, failed bool) error {
	f.namesMu.Lock()
	defer f.namesMu.Unlock()
	var stale []string
	for _, name := range names {
		w := f.pending[name]
		w.failed = w.failed || failed
		if w.calls--; w.calls > 0 {
			continue
		}
		delete(f.pending, name)
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

// write writes the current names.
func (f *File) write(tx *bbolt.Tx, changed []string) error {
	f.namesMu.Lock()
	defer f.namesMu.Unlock()
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

// Standing implements Registry.
func (f *File) Standing(_ context.Context, key Key) (s Standing, err error) {
	err = f.view(func(tx *bbolt.Tx) error {
		switch string(tx.Bucket([]byte(keysBucket)).Get(key[:])) {
		case markEnrolled:
			s = Enrolled
		case markRevoked:
			s = Revoked
		}
		return nil
	})
	return s, err
}

// view reads the file.
func (f *File) view(read func(tx *bbolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return ErrSuspended
	}
	return f.db.View(read)
}

// SetStanding implements Registry.
func (f *File) SetStanding(_ context.Context, key Key, s Standing) error {
	err := f.setStanding(key, s)
	if err == nil || s == Revoked { // a revoked key's session ends even if the disk is full
		f.notify(Change{Key: key, Standing: s})
	}
	return err
}

func (f *File) setStanding(key Key, s Standing) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return ErrSuspended
	}
	more := 0
	err := f.db.Batch(func(tx *bbolt.Tx) (err error) { // bbolt may call it again
		more, err = f.putStanding(tx.Bucket([]byte(keysBucket)), key, s)
		return err
	})
	if err == nil {
		f.namesMu.Lock()
		defer f.namesMu.Unlock()
		f.keys += more
	}
	return err
}

// putStanding writes a key's standing, and returns how many keys are added.
func (f *File) putStanding(bucket *bbolt.Bucket, key Key, s Standing) (more int, err error) {
	known := bucket.Get(key[:]) != nil
	mark := markEnrolled
	switch {
	case s == Unknown:
		if known {
			more = -1
		}
		return more, bucket.Delete(key[:])
	case s == Revoked:
		mark = markRevoked
	case !known && f.keyCount() >= keysTotal:
		return 0, errKeys
	}
	if !known {
		more = 1
	}
	return more, bucket.Put(key[:], []byte(mark))
}

func (f *File) keyCount() int {
	f.namesMu.Lock()
	defer f.namesMu.Unlock()
	return f.keys
}
