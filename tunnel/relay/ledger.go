package relay

import (
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// memoryOfPlain is how long a plain name that has ended is kept from other
// keys, and answers that it has ended. Unguessable names are kept for good:
// whoever saw the link could claim it otherwise.
const memoryOfPlain = 60 * 24 * time.Hour

// seenEvery is how exact Record.Seen is: a claim that changes nothing else need
// not wait for a disk.
const seenEvery = 24 * time.Hour

// book is where records are kept, inside of one transaction.
type book interface {
	name(name string) (Record, bool, error)
	putName(name string, r Record) error
	standing(key Key) (Standing, error)
	putStanding(key Key, s Standing) error
}

// claim is what Registry.Claim does, for every kind of book. Without write it
// only says whether there would be something to write.
func claim(b book, owner Key, names []string, until, now time.Time, write bool) (dirty bool, err error) {
	records := make([]Record, len(names))
	for i, name := range names {
		old, known, err := b.name(name)
		if err != nil {
			return false, err
		}
		if known {
			if err := mayClaim(name, old, owner, now); err != nil {
				return false, err
			}
		}
		records[i] = Record{Owner: owner, Until: until, Seen: now}
		same := known && old.Owner == owner && old.Until.Equal(until) && old.Ended.IsZero()
		dirty = dirty || !same || now.Sub(old.Seen) >= seenEvery
	}
	if !write || !dirty {
		return dirty, nil
	}
	for i, name := range names {
		if err := b.putName(name, records[i]); err != nil {
			return true, err
		}
	}
	return true, nil
}

// mayClaim says whether owner may have a name with the record old.
func mayClaim(name string, old Record, owner Key, now time.Time) error {
	at, ended := old.EndedAt(now)
	token := tunnel.TokenName(name)
	switch {
	case old.Owner != owner && (token || !ended || now.Sub(at) < memoryOfPlain):
		return &TakenError{name}
	case ended && token:
		return &EndedError{name, at}
	}
	return nil
}

// renew is Registry.Renew.
func renew(b book, owner Key, names []string, now time.Time, write bool) (dirty bool, err error) {
	for _, name := range names {
		old, known, err := b.name(name)
		if err != nil {
			return false, err
		}
		if !known || old.Owner != owner || now.Sub(old.Seen) < seenEvery {
			continue
		}
		dirty = true
		if !write {
			continue
		}
		old.Seen = now
		if err := b.putName(name, old); err != nil {
			return true, err
		}
	}
	return dirty, nil
}

// release is Registry.Release. It returns the names that have ended by it.
func release(b book, owner Key, names []string, now time.Time) (ended []string, err error) {
	for _, name := range names {
		old, known, err := b.name(name)
		if err != nil {
			return nil, err
		}
		if _, over := old.EndedAt(now); !known || old.Owner != owner || over {
			continue
		}
		old.Ended = now
		if err := b.putName(name, old); err != nil {
			return nil, err
		}
		ended = append(ended, name)
	}
	return ended, nil
}

// watchers tells changes to whoever watches. The zero value has nobody.
type watchers struct {
	mu   sync.Mutex
	next int
	all  map[int]func(Change)
}

// Watch implements Registry.
func (w *watchers) Watch(f func(Change)) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[int]func(Change){}
	}
	id := w.next
	w.next++
	w.all[id] = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, id)
	}
}

func (w *watchers) tell(changes ...Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		for _, f := range w.all {
			f(c)
		}
	}
}

func endings(owner Key, names []string) []Change {
	changes := make([]Change, len(names))
	for i, name := range names {
		changes[i] = Change{Name: name, Key: owner}
	}
	return changes
}
