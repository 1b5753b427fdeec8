package relay

import "sync"

// watchers tells changes to every function that watches. The zero value has none.
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
