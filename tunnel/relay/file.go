package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
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

// marks are the letters that standings are stored as, so that strings(1) shows the
// contents of a file.
var marks = [...]string{Enrolled: "e", Revoked: "r"}

// File is a Registry in one bbolt file, mode 0600, which one process may have
// open at a time. It is made by OpenFile. Names and keys are in memory too: the file
// is read when it is opened, and from then on only written.
type File struct {
	nameMethods
	path string

	mu sync.RWMutex
	db *bbolt.DB // nil while suspended

	// keysMu is held while a standing is written, so that memory gets the changes in
	// the order of the file. It is taken after mu.
	keysMu sync.Mutex

	// memoryMu guards names, pending and standings. It is taken after the others, and
	// never held during a wait for the disk.
	memoryMu  sync.Mutex
	names     *nameTable
	pending   map[string]*pendingWrite // by name
	standings map[Key]Standing
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
	err = db.Update(func(tx *bbolt.Tx) error {
		_, namesErr := tx.CreateBucketIfNotExists([]byte(namesBucket))
		_, keysErr := tx.CreateBucketIfNotExists([]byte(keysBucket))
		f.names, f.standings = readAll(tx)
		return cmp.Or(namesErr, keysErr)
	})
	if err != nil {
		db.Close()
		return fmt.Errorf("cannot write the relay's registry %s: %w", f.path, err)
	}
	f.db, f.pending = db, map[string]*pendingWrite{}
	return nil
}

// readAll reads every name and key. Entries that cannot be read are ignored.
func readAll(tx *bbolt.Tx) (*nameTable, map[Key]Standing) {
	names, standings := newNameTable(), map[Key]Standing{}
	for name, text := range entries(tx, namesBucket) {
		names.read(string(name), text)
	}
	for key, mark := range entries(tx, keysBucket) {
		if len(key) == len(Key{}) {
			standings[Key(key)] = Standing(max(slices.Index(marks[:], string(mark)), int(Unknown)))
		}
	}
	return names, standings
}

// entries yields the keys and values of a bucket.
func entries(tx *bbolt.Tx, bucket string) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b := tx.Bucket([]byte(bucket))
		if b == nil { // not the file of a relay
			return
		}
		at := b.Cursor()
		for key, value := at.First(); key != nil && yield(key, value); key, value = at.Next() {
		}
	}
}

// read puts the record of a name that is in a file.
func (t *nameTable) read(name string, text []byte) {
	var r Record
	if json.Unmarshal(text, &r) == nil {
		t.put(name, r)
	}
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
	f.memoryMu.Lock()
	changed, err := do(f.names, time.Now())
	var names []string
	if err == nil {
		names = f.beginLocked(changed, about)
	}
	f.memoryMu.Unlock()
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
	f.memoryMu.Lock()
	defer f.memoryMu.Unlock()
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
	f.memoryMu.Lock()
	defer f.memoryMu.Unlock()
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
func (f *File) Standing(_ context.Context, key Key) (Standing, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return Unknown, ErrSuspended
	}
	f.memoryMu.Lock()
	defer f.memoryMu.Unlock()
	return f.standings[key], nil
}

// listKeys lists the keys as the file has them.
func (f *File) listKeys() ([]KeyInfo, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return nil, ErrSuspended
	}
	return listKeys(f.db)
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
	f.keysMu.Lock() // no other call changes standings
	defer f.keysMu.Unlock()
	if _, known := f.standings[key]; !known && s == Enrolled && len(f.standings) >= keysTotal {
		return errKeys
	}
	err := f.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(keysBucket))
		if s == Unknown {
			return bucket.Delete(key[:])
		}
		return bucket.Put(key[:], []byte(marks[s]))
	})
	if err != nil {
		return err
	}
	f.memoryMu.Lock()
	defer f.memoryMu.Unlock()
	if s == Unknown {
		delete(f.standings, key)
	} else {
		f.standings[key] = s
	}
	return nil
}
